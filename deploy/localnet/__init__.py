"""A whole Bailee network on one machine, with real nodes: for the demo, development and system tests."""

from deploy.localnet.localnet import Event, EventKind, Localnet

__all__ = ["Event", "EventKind", "Localnet"]
