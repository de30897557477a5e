"""What custody does by itself: one bounded, idempotent step per `tick`, safe to be killed anywhere.

A step reads what is on record, asks the outside world, and writes the answer down by a use case. Whatever
must be known after a crash is written before the outside hears of it.
"""
