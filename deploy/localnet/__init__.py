"""A whole Bailee network on one machine, with real nodes: for the demo, development and system tests."""
