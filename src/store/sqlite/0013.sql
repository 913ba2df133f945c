-- A bucket whose gate alone is to forget.
ALTER TABLE gate_resets ADD COLUMN bucket TEXT;
