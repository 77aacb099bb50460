"""Faults: pure descriptions of what should break."""
