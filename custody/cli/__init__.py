"""`bailee`: the command of those who use a custody service. A client; it never starts a server."""
