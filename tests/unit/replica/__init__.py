"""Tests of node.replica."""
