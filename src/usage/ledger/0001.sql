-- What was counted. Times are Unix seconds; an empty text stands for nobody or nothing.

CREATE TABLE ledger (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    begun_us INTEGER NOT NULL -- in microseconds
) STRICT;

-- Who calls what with which key. Names are those of the last call: identifiers stay, names may change.
CREATE TABLE pairs (
    id              INTEGER PRIMARY KEY,
    credential      TEXT    NOT NULL,
    caller          TEXT    NOT NULL,
    service         TEXT    NOT NULL,
    credential_name TEXT    NOT NULL,
    caller_name     TEXT    NOT NULL,
    first_seen      INTEGER NOT NULL,
    last_seen       INTEGER NOT NULL,
    calls           INTEGER NOT NULL,
    UNIQUE (credential, caller, service)
) STRICT;

-- The sums over a minute, an hour or a day (`span`, in seconds). All three are written at once: none is made from another,
-- so that each can be forgotten in its own time.
CREATE TABLE rollups (
    span          INTEGER NOT NULL CHECK (span IN (60, 3600, 86400)),
    start         INTEGER NOT NULL,
    pair          INTEGER NOT NULL REFERENCES pairs (id) ON DELETE CASCADE,
    answered_none INTEGER NOT NULL,
    answered_1xx  INTEGER NOT NULL,
    answered_2xx  INTEGER NOT NULL,
    answered_3xx  INTEGER NOT NULL,
    answered_4xx  INTEGER NOT NULL,
    answered_5xx  INTEGER NOT NULL,
    unauthorized  INTEGER NOT NULL,
    forbidden     INTEGER NOT NULL,
    throttled     INTEGER NOT NULL,
    refused       INTEGER NOT NULL,
    limited       INTEGER NOT NULL,
    strangers     INTEGER NOT NULL,
    failed        INTEGER NOT NULL,
    waits         INTEGER NOT NULL,
    wait_us       INTEGER NOT NULL,
    bytes_in      INTEGER NOT NULL,
    bytes_out     INTEGER NOT NULL,
    latency       BLOB    NOT NULL,
    PRIMARY KEY (span, start, pair)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollups_of_pairs ON rollups (pair);

-- A method and the shape of a path; both empty for those beyond what is told apart.
CREATE TABLE endpoints (
    pair       INTEGER NOT NULL REFERENCES pairs (id) ON DELETE CASCADE,
    method     TEXT    NOT NULL,
    shape      TEXT    NOT NULL,
    calls      INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    PRIMARY KEY (pair, method, shape)
) STRICT, WITHOUT ROWID;

-- What an operator should look at: one row for each subject of a kind. `untold` is how often it happened since it was told.
CREATE TABLE events (
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    credential      TEXT    NOT NULL,
    caller          TEXT    NOT NULL,
    service         TEXT    NOT NULL,
    credential_name TEXT    NOT NULL,
    caller_name     TEXT    NOT NULL,
    message         TEXT    NOT NULL,
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    total           INTEGER NOT NULL,
    told_at         INTEGER NOT NULL,
    untold          INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
