"""Measurements, never pass or fail: `make bench`."""
