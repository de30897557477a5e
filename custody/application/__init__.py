"""Use cases: keyword-only functions over a unit of work, one module per family.

A command is synchronous and re-runnable: it reads and writes through its unit of work and does nothing else.
Time, identifiers and prices are passed in.
"""
