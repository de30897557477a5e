-- Reports from this sequence of the account up to the one before the change counted what the change took back.
ALTER TABLE changes ADD COLUMN retracts_from INTEGER;
