"""Tests of node.wire."""
