"""Builders, fakes and checkers; checkers share no code with what they check."""
