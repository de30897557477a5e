-- Amounts are TEXT and are added up in Python: SQLite turns large NUMERIC into floating point (wei do not survive it).
-- Times are INTEGER Unix seconds. Identifiers and hashes are the lower-case text the statements use.

CREATE TABLE policies (
    digest TEXT NOT NULL PRIMARY KEY,
    envelope BLOB NOT NULL,
    pinned_at INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    account TEXT NOT NULL PRIMARY KEY,
    pledgor TEXT NOT NULL,
    pledgor_key TEXT NOT NULL,
    secured_party TEXT NOT NULL,
    secured_party_key TEXT NOT NULL,
    custodian TEXT NOT NULL,
    custodian_key TEXT NOT NULL,
    enforcement_bitcoin TEXT NOT NULL,
    enforcement_ethereum TEXT NOT NULL,
    policy_digest TEXT NOT NULL,
    state TEXT NOT NULL,
    halts TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence >= 0),
    encumbrance_sequence INTEGER NOT NULL CHECK (encumbrance_sequence >= 0),
    encumbrance_head TEXT NOT NULL,
    statement_digest TEXT,
    script_pubkey TEXT UNIQUE,
    ethereum_address TEXT UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_by_pledgor ON accounts (pledgor, account);
CREATE INDEX accounts_by_secured_party ON accounts (secured_party, account);

CREATE TABLE onboardings (
    account TEXT NOT NULL PRIMARY KEY REFERENCES accounts (account),
    document TEXT NOT NULL
) STRICT;

-- Every change of every account, in the order of commit; `sequence` has no gaps within an account.
CREATE TABLE changes (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (account, sequence)
) STRICT;

CREATE TABLE postings (
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    posting INTEGER NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    debit TEXT NOT NULL,
    credit TEXT NOT NULL CHECK (credit <> debit),
    units TEXT NOT NULL CHECK (units GLOB '[1-9]*' AND units NOT GLOB '*[^0-9]*'),
    PRIMARY KEY (account, sequence, posting)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER postings_are_never_changed BEFORE UPDATE ON postings
BEGIN SELECT RAISE (ABORT, 'postings are only ever added'); END;
CREATE TRIGGER postings_are_never_removed BEFORE DELETE ON postings
BEGIN SELECT RAISE (ABORT, 'postings are only ever added'); END;
CREATE TRIGGER changes_are_never_changed BEFORE UPDATE ON changes
BEGIN SELECT RAISE (ABORT, 'changes are only ever added'); END;
CREATE TRIGGER changes_are_never_removed BEFORE DELETE ON changes
BEGIN SELECT RAISE (ABORT, 'changes are only ever added'); END;

-- What the postings add up to, kept beside them so that a decision reads one row.
CREATE TABLE balances (
    account TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    external TEXT NOT NULL,
    pending TEXT NOT NULL,
    available TEXT NOT NULL,
    reserved TEXT NOT NULL,
    posted TEXT NOT NULL,
    withdrawing TEXT NOT NULL,
    network_fees TEXT NOT NULL,
    reorg_shortfall TEXT NOT NULL,
    PRIMARY KEY (account, asset)
) STRICT, WITHOUT ROWID;

CREATE TABLE encumbrances (
    account TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    lien TEXT NOT NULL,
    digest TEXT NOT NULL,
    envelope BLOB NOT NULL,
    PRIMARY KEY (account, sequence)
) STRICT;

CREATE TABLE liens (
    account TEXT NOT NULL,
    lien TEXT NOT NULL,
    asset TEXT NOT NULL CHECK (asset IN ('BTC', 'ETH')),
    units TEXT NOT NULL,
    state TEXT NOT NULL,
    encumbrance_sequence INTEGER NOT NULL,
    account_sequence INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    posted_at INTEGER,
    ended_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account, lien)
) STRICT, WITHOUT ROWID;
CREATE INDEX liens_by_expiry ON liens (expires_at) WHERE state = 'reserved';

CREATE TABLE outcomes (
    principal TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    result TEXT NOT NULL,
    PRIMARY KEY (principal, method, request_id)
) STRICT;
