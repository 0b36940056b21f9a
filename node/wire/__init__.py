"""The codec of wire and disk, and every message between nodes. Alone imports `msgpack`.

May import `crypto`, `config`, `telemetry` and `consensus`. Read `codec` first, then `ids`, `tags`, `messages`.
"""
