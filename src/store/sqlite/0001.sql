-- The first shape of the store. Times are Unix seconds. Names are unique among the living.

-- Counts committed changes that others must follow; read by every process that uses the store.
CREATE TABLE changes (
    only    INTEGER PRIMARY KEY CHECK (only = 1),
    counter INTEGER NOT NULL
) STRICT;
INSERT INTO changes VALUES (1, 1);

-- Never a key: what tells the right master key from a wrong one, and how to derive it from a passphrase.
CREATE TABLE master_keys (
    id          INTEGER PRIMARY KEY CHECK (id > 0),
    check_value BLOB    NOT NULL,
    derivation  TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

-- What sidekey itself must keep secret, sealed under a label: a certificate authority's key, for example.
CREATE TABLE labelled (
    label  TEXT    PRIMARY KEY,
    master INTEGER NOT NULL REFERENCES master_keys (id),
    sealed BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX living_users ON users (name) WHERE deleted_at IS NULL;

CREATE TABLE teams (
    id         TEXT    PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX living_teams ON teams (name) WHERE deleted_at IS NULL;

CREATE TABLE team_members (
    team       TEXT    NOT NULL REFERENCES teams (id),
    user       TEXT    NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (team, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_of_teams ON team_members (user);

-- A caller proves itself by name and token, without naming its owner, so its name is unique in the whole store.
CREATE TABLE callers (
    id           TEXT    PRIMARY KEY,
    name         TEXT    NOT NULL,
    owner        TEXT    NOT NULL REFERENCES users (id),
    environment  TEXT,
    token_digest BLOB    CHECK (length(token_digest) = 32),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    deleted_at   INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX living_callers ON callers (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX living_tokens ON callers (token_digest) WHERE deleted_at IS NULL AND token_digest IS NOT NULL;
CREATE INDEX callers_of_users ON callers (owner);

CREATE TABLE credentials (
    id          TEXT    PRIMARY KEY,
    name        TEXT    NOT NULL,
    owner       TEXT    NOT NULL REFERENCES users (id),
    service     TEXT    NOT NULL,
    environment TEXT,
    variables   TEXT    NOT NULL,
    expires_at  INTEGER,
    created_at  INTEGER NOT NULL,
    current     INTEGER NOT NULL CHECK (current > 0),
    deleted_at  INTEGER,
    FOREIGN KEY (id, current) REFERENCES versions (credential, number) DEFERRABLE INITIALLY DEFERRED
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX living_credentials ON credentials (owner, name) WHERE deleted_at IS NULL;

-- `replaced` is the version that was current when this one came: where rolling back leads. A destroyed version keeps its
-- row and has no value.
CREATE TABLE versions (
    credential   TEXT    NOT NULL REFERENCES credentials (id),
    number       INTEGER NOT NULL CHECK (number > 0),
    replaced     INTEGER CHECK (replaced < number),
    master       INTEGER REFERENCES master_keys (id),
    wrapped_key  BLOB,
    fields       BLOB,
    created_at   INTEGER NOT NULL,
    retired_at   INTEGER,
    destroyed_at INTEGER,
    PRIMARY KEY (credential, number),
    CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL)),
    CHECK ((wrapped_key IS NULL) = (fields IS NULL) AND (wrapped_key IS NULL) = (master IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE shares (
    credential TEXT    NOT NULL REFERENCES credentials (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('user', 'team', 'caller', 'everyone')),
    target     TEXT    NOT NULL CHECK ((kind = 'everyone') = (target = '')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (credential, kind, target)
) STRICT, WITHOUT ROWID;

-- Who stands behind requests before anybody was added.
INSERT INTO users (id, name, created_at) VALUES ('local', 'local', unixepoch());
INSERT INTO callers (id, name, owner, created_at) VALUES ('local', 'local', 'local', unixepoch());
