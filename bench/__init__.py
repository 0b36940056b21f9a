"""Speed, memory and precision, side by side with what one would pick instead.

May import `tests.support`: the made-up worlds that the tests hold the engine to are what it is measured on.
"""
