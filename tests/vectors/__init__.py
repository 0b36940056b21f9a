"""Golden bytes: what a second implementation must produce from the same fields."""
