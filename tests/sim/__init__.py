"""Networks in virtual time, seeded: safety under chaos, then progress once healed."""
