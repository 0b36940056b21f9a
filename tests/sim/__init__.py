"""Seeded simulations in virtual time: cores alone (`core_*`), and whole replicas with disks (`world`, `node`, …).

`python -m tests.sim --seeds N --first-seed K` runs many; a failing seed prints itself and becomes a named test.
"""
