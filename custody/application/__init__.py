"""Use cases: keyword-only functions over a unit of work. They decide; they never wait."""
