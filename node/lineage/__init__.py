"""What events mean: records for the index, custody, containment, trace, over a reader Protocol.

May import `epcis` and below. Read `records` first, then `reader`, `readings`, `trace`.
"""
