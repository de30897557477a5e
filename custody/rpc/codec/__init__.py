"""Between protobuf and the domain, strictly: nothing is guessed, defaulted or dropped on the way in."""
