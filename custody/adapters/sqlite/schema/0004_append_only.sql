-- What a party was answered, signed or shown is as final as a posting. With recursive_triggers, as every connection of
-- custody has it, REPLACE fires the triggers that refuse to remove a row.

CREATE TRIGGER encumbrances_are_never_changed BEFORE UPDATE ON encumbrances
BEGIN SELECT RAISE (ABORT, 'encumbrances are only ever added'); END;
CREATE TRIGGER encumbrances_are_never_removed BEFORE DELETE ON encumbrances
BEGIN SELECT RAISE (ABORT, 'encumbrances are only ever added'); END;
CREATE TRIGGER report_batches_are_never_changed BEFORE UPDATE ON report_batches
BEGIN SELECT RAISE (ABORT, 'report batches are only ever added'); END;
CREATE TRIGGER report_batches_are_never_removed BEFORE DELETE ON report_batches
BEGIN SELECT RAISE (ABORT, 'report batches are only ever added'); END;
CREATE TRIGGER outcomes_are_never_changed BEFORE UPDATE ON outcomes
BEGIN SELECT RAISE (ABORT, 'outcomes are only ever added'); END;
CREATE TRIGGER outcomes_are_never_removed BEFORE DELETE ON outcomes
BEGIN SELECT RAISE (ABORT, 'outcomes are only ever added'); END;
