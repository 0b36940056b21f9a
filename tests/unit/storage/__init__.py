"""Tests of node.storage."""
