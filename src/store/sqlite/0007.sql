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

-- Lists of keys by name, a page at a time, and what is shared with somebody.
CREATE INDEX named_credentials ON credentials (name) WHERE deleted_at IS NULL;
CREATE INDEX credentials_of_services ON credentials (service, name) WHERE deleted_at IS NULL;
CREATE INDEX shares_with ON shares (kind, target);

-- Which credentials were touched by which change, so that a running proxy reads those alone again. `counter` is the change
-- counter after that change.
CREATE TABLE touched (
    credential TEXT    PRIMARY KEY,
    counter    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX touched_since ON touched (counter);
CREATE TRIGGER credential_added AFTER INSERT ON credentials BEGIN
    INSERT INTO touched SELECT NEW.id, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER credential_changed AFTER UPDATE OF name, owner, service, environment, variables, expires_at, current, deleted_at, overlap_until
    ON credentials BEGIN
    INSERT INTO touched SELECT NEW.id, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER version_added AFTER INSERT ON versions BEGIN
    INSERT INTO touched SELECT NEW.credential, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER version_changed AFTER UPDATE OF master, wrapped_key, fields ON versions BEGIN
    INSERT INTO touched SELECT NEW.credential, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER share_added AFTER INSERT ON shares BEGIN
    INSERT INTO touched SELECT NEW.credential, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER share_changed AFTER UPDATE ON shares BEGIN
    INSERT INTO touched SELECT NEW.credential, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
CREATE TRIGGER share_ended AFTER DELETE ON shares BEGIN
    INSERT INTO touched SELECT OLD.credential, counter + 1 FROM changes WHERE true
    ON CONFLICT (credential) DO UPDATE SET counter = excluded.counter;
END;
