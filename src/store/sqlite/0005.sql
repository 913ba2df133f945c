-- What a user shows to the admin API: a lasting token, a code that works once, the session that it opens. Kept as digests
-- alone. They are here and not in memory so that a code made at the command line is known to the running process, and what
-- is revoked there ends at once. A row that ended is gone: the audit log has its history.
CREATE TABLE passes (
    id         TEXT    PRIMARY KEY,
    kind       TEXT    NOT NULL CHECK (kind IN ('token', 'code', 'session')),
    name       TEXT    NOT NULL,
    user       TEXT    NOT NULL REFERENCES users (id),
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX named_tokens ON passes (name) WHERE kind = 'token';
