"""Comparison with published material that is not part of the project: skipped, with the reason, where it is absent."""
