"""Keys, Ed25519 signatures, SHA-256 with domains and Merkle proofs. Alone imports `nacl`.

May import `config`, `telemetry` and `consensus`. Read `digests` first, then `keys`, `merkle`.
"""
