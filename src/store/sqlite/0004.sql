-- The life of a value: how long the former one may help out, when a new one is due, what the last try said.

-- Until when a request that the service refuses with the current version may be sent with the one that it replaced.
ALTER TABLE credentials ADD COLUMN overlap_until INTEGER;

-- Seconds after which a value is to be replaced; a reminder, nothing more.
ALTER TABLE credentials ADD COLUMN rotate_every INTEGER CHECK (rotate_every > 0);

-- Seconds after which a running proxy tries it at the service again; none: never by itself.
ALTER TABLE credentials ADD COLUMN verify_every INTEGER CHECK (verify_every > 0);

-- The last try at the service: when, of which version, and what came of it.
ALTER TABLE credentials ADD COLUMN verified_at INTEGER;
ALTER TABLE credentials ADD COLUMN verified_version INTEGER;
ALTER TABLE credentials ADD COLUMN verdict TEXT CHECK ((verdict IS NULL) = (verified_at IS NULL));
