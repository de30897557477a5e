"""The gRPC edge: who calls, what a request may say, and how a refusal reads on the wire."""
