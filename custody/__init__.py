"""Custody: the service, its clients and its tools."""
