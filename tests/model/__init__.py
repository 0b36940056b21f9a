"""A model of the core that a program checks: every run of the real `Core` in a small world."""
