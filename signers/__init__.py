"""Independent signers: each re-verifies everything itself and builds every transaction itself."""
