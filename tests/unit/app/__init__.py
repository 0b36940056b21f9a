"""Tests of node.app."""
