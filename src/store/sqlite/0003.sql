-- Services that are kept here: custom ones, and changes to built-in ones. The record is TOML, as in a catalogue file. Whoever
-- reads it compiles it; what one version cannot compile stays as it is for the next. The revision counts changes.
CREATE TABLE services (
    name       TEXT    PRIMARY KEY,
    record     TEXT    NOT NULL,
    revision   INTEGER NOT NULL CHECK (revision > 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
