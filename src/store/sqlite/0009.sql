-- sidekey's own certificate authorities, in the order of their making. Their private keys are among `labelled`, each under
-- the label `authority/` and the hexadecimal fingerprint of its certificate.
CREATE TABLE authorities (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint BLOB    NOT NULL UNIQUE,
    name        TEXT    NOT NULL UNIQUE,
    certificate BLOB    NOT NULL,
    hosts       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    signs_from  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
