CREATE TABLE destinations (
    account TEXT NOT NULL,
    destination TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, destination)
) STRICT;

CREATE TABLE withdrawals (
    account TEXT NOT NULL,
    withdrawal TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    state TEXT NOT NULL,
    confirmed_height INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (account, withdrawal)
) STRICT;
CREATE INDEX withdrawals_by_state ON withdrawals (state, updated_at)
WHERE state NOT IN ('settled', 'cancelled', 'expired');
CREATE INDEX withdrawals_by_block ON withdrawals (asset, confirmed_height) WHERE confirmed_height IS NOT NULL;

CREATE TABLE attempts (
    transaction_id TEXT NOT NULL PRIMARY KEY,
    account TEXT NOT NULL,
    withdrawal TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE prices (
    publisher TEXT NOT NULL,
    asset TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (publisher, asset)
) STRICT;

CREATE TABLE report_batches (
    sequence INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    envelope BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT;

-- The latest report of each account; older ones are in their readers' hands, their roots in report_batches.
CREATE TABLE reports (
    account TEXT NOT NULL PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES report_batches (sequence),
    report BLOB NOT NULL,
    account_sequence INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    tree_size INTEGER NOT NULL,
    path TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
