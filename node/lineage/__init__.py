"""What events mean: records for the index, custody, containment, traces, over a reader Protocol.

May import `epcis` and below. Read `records` and `reader` first, then `readings` and `trace`; docs/lineage.md lists the
readings with their tests.
"""
