-- The id by which senders know a hook in the paths of a product, and the dialect whose paths these are.
ALTER TABLE hooks ADD COLUMN path_dialect TEXT NOT NULL DEFAULT 'native';
ALTER TABLE hooks ADD COLUMN path_id TEXT;
CREATE UNIQUE INDEX hooks_by_path ON hooks (path_dialect, path_id) WHERE path_id IS NOT NULL;

-- A digest of what an execution said, so that another attempt that says it again does not send it again. Null for
-- deliveries that tell of the end.
ALTER TABLE deliveries ADD COLUMN said BLOB;
CREATE UNIQUE INDEX deliveries_said ON deliveries (said) WHERE said IS NOT NULL;

-- 1: what is to be forgotten in the end is sealed until then; of an execution that is the trigger, which is in `body` too.
ALTER TABLE executions ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN sealed INTEGER NOT NULL DEFAULT 0;
