"""The documented systems, written once on the Node API."""
