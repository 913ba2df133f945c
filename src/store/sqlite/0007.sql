-- Acts that are done and may not be in the audit log yet. Each comes with the change itself, in one transaction, and goes when
-- the log has it. `segment` and `log_offset` say where the log ended before it. The rowid keeps their order.
CREATE TABLE unrecorded (
    id         TEXT    PRIMARY KEY,
    time_us    INTEGER NOT NULL, -- in microseconds
    actor      TEXT    NOT NULL,
    act        TEXT    NOT NULL,
    object     TEXT    NOT NULL,
    object_id  TEXT    NOT NULL,
    details    TEXT    NOT NULL,
    segment    INTEGER NOT NULL,
    log_offset INTEGER NOT NULL
) STRICT;
