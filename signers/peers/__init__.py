"""The other signers, reached directly: custody is no part of the channel."""
