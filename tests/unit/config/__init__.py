"""Tests of node.config."""
