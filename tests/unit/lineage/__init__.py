"""Tests of node.lineage."""
