"""The signer's gRPC edge: who may call, what a request must be, how a decision travels. Decides nothing."""
