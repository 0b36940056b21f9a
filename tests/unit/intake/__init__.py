"""Tests of node.intake."""
