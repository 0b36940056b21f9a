"""Tests of node.cli."""
