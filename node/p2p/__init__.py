"""Sockets between nodes: mutual TLS 1.3 sessions, frames, queues, peers and their limits.

May import `wire` and below. Read `network` first (what the engine uses), then `session` (the rules of one session
above TLS), `framing`, `outbox` and `inbox` (how a vote overtakes data), `certificates` and `context` (who is let in).

Trust is the membership alone: each member's node key, as genesis has it, is a certificate authority of its own, and a
node shows a short-lived certificate that it issued to itself.
"""
