"""Custody: watches, values and moves pledged coins, and is trusted with none of them."""
