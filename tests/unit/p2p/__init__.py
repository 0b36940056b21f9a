"""Tests of node.p2p."""
