-- What was used of a share's quota: in which period, counted from 1970, and how much.
CREATE TABLE quota_uses (
    credential TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    target     TEXT    NOT NULL,
    period     INTEGER NOT NULL,
    used       INTEGER NOT NULL,
    PRIMARY KEY (credential, kind, target),
    FOREIGN KEY (credential, kind, target) REFERENCES shares (credential, kind, target) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
