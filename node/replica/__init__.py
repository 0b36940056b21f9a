"""The replica: consensus core, feeds and catch-up as one pure machine; what the engine and the simulator drive.

May import `feed`, `ledger`, `wire`, `crypto` and `consensus`. Read `inputs`, `effects` and `recovered` first (the
contract with the driver), then `replica` (the machine), `builder`, `judge`, `bodies` and `chain_sync` (its parts).
"""
