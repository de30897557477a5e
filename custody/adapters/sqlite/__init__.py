"""The embedded store: SQLite in WAL mode, one writer thread, one commit for many commands."""
