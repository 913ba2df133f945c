-- People: what users may do, what callers must come from, what a share may be used for.

ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member'));
UPDATE users SET role = 'admin' WHERE id = 'local';

-- A rotated token may go on for a while beside the new one.
ALTER TABLE callers ADD COLUMN former_digest BLOB CHECK (length(former_digest) = 32);
ALTER TABLE callers ADD COLUMN former_until INTEGER CHECK ((former_until IS NULL) = (former_digest IS NULL));

-- Where a caller's connections must come from, separated by spaces: networks, and users of this machine as `uid:NUMBER`.
-- Empty: anywhere.
ALTER TABLE callers ADD COLUMN perimeter TEXT NOT NULL DEFAULT '';

-- What a share may be used for, as JSON; none: everything.
ALTER TABLE shares ADD COLUMN bounds TEXT;

CREATE INDEX credentials_of_users ON credentials (owner);
