"""Tests of node.query."""
