"""Tests of node.telemetry."""
