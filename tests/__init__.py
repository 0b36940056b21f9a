"""Tests: each folder proves one kind of thing (ARCHITECTURE.md)."""
