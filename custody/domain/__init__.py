"""The rules of custody, pure: no clock, no network, no disk, no framework."""
