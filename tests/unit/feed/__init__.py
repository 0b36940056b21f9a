"""Tests of node.feed."""
