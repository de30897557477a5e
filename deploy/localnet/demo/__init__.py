"""`make demo`: the main job end to end, on real nodes, told as it happens."""
