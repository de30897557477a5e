"""What the ports of `custody.application` are made of outside: databases, nodes, signers, Vault."""
