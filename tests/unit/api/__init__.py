"""Tests of node.api."""
