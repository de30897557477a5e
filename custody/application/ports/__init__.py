"""What the use cases and workers need from outside, as protocols."""
