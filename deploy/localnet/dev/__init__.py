"""`make dev`: a network that stays up, with coins pledged in it, and something to try for everybody."""
