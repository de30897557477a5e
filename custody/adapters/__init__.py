"""The outside world: each module speaks one other system's language and implements one of the ports."""
