"""Tests of node.epcis."""
