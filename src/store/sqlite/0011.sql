-- Whom the upstream counts when this key is used; the key itself when none is named.
ALTER TABLE credentials ADD COLUMN limit_owner TEXT;

-- The gates of the running proxy, noted from time to time: for commands and for the next start.
CREATE TABLE gates (
    service TEXT    NOT NULL,
    owner   TEXT    NOT NULL,
    bucket  TEXT    NOT NULL,
    until   INTEGER,
    wait    INTEGER NOT NULL,
    shown   TEXT    NOT NULL,
    PRIMARY KEY (service, owner, bucket)
) STRICT, WITHOUT ROWID;

-- When they were noted last: one row.
CREATE TABLE gates_noted (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    at  INTEGER NOT NULL
) STRICT;

-- Gates that the running proxy is to forget; it takes the rows away.
CREATE TABLE gate_resets (
    id      INTEGER NOT NULL PRIMARY KEY,
    service TEXT    NOT NULL,
    owner   TEXT
) STRICT;

-- A limit owner is something that a running proxy must follow.
DROP TRIGGER credential_changed;
CREATE TRIGGER credential_changed AFTER UPDATE OF name, owner, service, environment, variables, expires_at, current, deleted_at, overlap_until,
    limit_owner ON credentials BEGIN
    INSERT INTO touched SELECT NEW.id, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
