-- How the master key is reached: each slot holds it wrapped by a key from one place. Of where that is, the kind stands here
-- for who has no key that fits; the rest is sealed by the master key itself. A store of an earlier shape has no slot yet: what
-- its place yields is its master key, and the first who opens it makes the slot.
CREATE TABLE slots (
    name       TEXT    PRIMARY KEY,
    master     INTEGER NOT NULL REFERENCES master_keys (id) ON DELETE CASCADE,
    kind       TEXT    NOT NULL CHECK (kind IN ('file', 'env', 'passphrase', 'command')),
    derivation TEXT    CHECK ((derivation IS NULL) = (kind <> 'passphrase')),
    wrapped    BLOB    NOT NULL,
    place      BLOB    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
