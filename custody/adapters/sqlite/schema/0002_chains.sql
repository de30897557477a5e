CREATE TABLE blocks (
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    height INTEGER NOT NULL CHECK (height >= 0),
    block_hash TEXT NOT NULL,
    PRIMARY KEY (asset, height)
) STRICT, WITHOUT ROWID;

-- Ethereum's finalised block: one row.
CREATE TABLE finality (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    height INTEGER NOT NULL,
    block_hash TEXT NOT NULL
) STRICT;

CREATE TABLE finalised_balances (
    account TEXT NOT NULL PRIMARY KEY,
    height INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    balance TEXT NOT NULL,
    nonce INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE deposits (
    account TEXT NOT NULL,
    deposit TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    units TEXT NOT NULL,
    state TEXT NOT NULL,
    txid TEXT,
    output_index INTEGER,
    height INTEGER NOT NULL,
    block_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    credited_at INTEGER,
    reversed_at INTEGER,
    PRIMARY KEY (account, deposit)
) STRICT, WITHOUT ROWID;
CREATE INDEX deposits_by_height ON deposits (asset, height) WHERE state <> 'reversed';
CREATE INDEX deposits_pending ON deposits (asset, height) WHERE state = 'pending';

CREATE TABLE coins (
    txid TEXT NOT NULL,
    output_index INTEGER NOT NULL,
    account TEXT NOT NULL,
    units TEXT NOT NULL,
    origin TEXT NOT NULL,
    height INTEGER,
    block_hash TEXT,
    spent_by TEXT,
    spent_height INTEGER,
    spent_hash TEXT,
    planned_for TEXT,
    PRIMARY KEY (txid, output_index)
) STRICT, WITHOUT ROWID;
CREATE INDEX coins_standing ON coins (account) WHERE height IS NOT NULL AND spent_height IS NULL;
CREATE INDEX coins_by_height ON coins (height);
CREATE INDEX coins_by_spent_height ON coins (spent_height) WHERE spent_height IS NOT NULL;
