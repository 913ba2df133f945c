-- Tokens that a caller has beside its own for one run of a program, each until it ends or its time is over.
CREATE TABLE run_tokens (
    digest     BLOB    PRIMARY KEY,
    caller     TEXT    NOT NULL REFERENCES callers (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
