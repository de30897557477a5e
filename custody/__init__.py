"""Custody: watches the chains, keeps the ledger, serves the parties. Trusted by nobody for a theft."""
