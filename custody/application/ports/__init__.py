"""What custody needs of the outside world, as protocols. Adapters implement them, `custody.main` wires."""
