-- Limits that operators pinned; an empty owner or bucket stands for all of them together.
CREATE TABLE pins (
    service  TEXT    NOT NULL,
    owner    TEXT    NOT NULL,
    bucket   TEXT    NOT NULL,
    count    INTEGER,
    period_s INTEGER,
    places   INTEGER,
    until    INTEGER,
    PRIMARY KEY (service, owner, bucket)
) STRICT, WITHOUT ROWID;

-- What was used of a service's quota by one limit owner: in which period, counted from 1970, and how much.
CREATE TABLE owner_quota_uses (
    service TEXT    NOT NULL,
    owner   TEXT    NOT NULL,
    per     TEXT    NOT NULL,
    period  INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (service, owner, per)
) STRICT, WITHOUT ROWID;

-- Keys of one pool stand in for each other.
ALTER TABLE credentials ADD COLUMN pool TEXT;

-- How many turns a caller has in a queue where others have one.
ALTER TABLE callers ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;

-- A pool is something that a running proxy must follow.
DROP TRIGGER credential_changed;
CREATE TRIGGER credential_changed AFTER UPDATE OF name, owner, service, environment, variables, expires_at, current, deleted_at, overlap_until,
    limit_owner, pool ON credentials BEGIN
    INSERT INTO touched SELECT NEW.id, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
