-- A hook's requests: those that made an execution are found there, all others are rows of `requests`. `verdict` says what
-- became of one; `code` is the problem of a refused one; `execution` is what a duplicate repeats. A body that is kept has
-- `kept_bytes` bytes. The wide column comes last.
ALTER TABLE requests RENAME TO requests_before;
CREATE TABLE requests (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB,
  hook BLOB,
  at INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  status INTEGER NOT NULL,
  code TEXT,
  reason TEXT NOT NULL,
  execution BLOB,
  kept_bytes INTEGER,
  detail TEXT NOT NULL,
  body BLOB
) STRICT;
INSERT INTO requests (seq, id, workspace, hook, at, verdict, status, code, reason, detail)
  SELECT seq, id, workspace, hook, at, 'refused', status, verdict, reason, detail FROM requests_before;
DROP TABLE requests_before;
CREATE INDEX requests_by_id ON requests (id);
-- Covers what decides which of a hook's rows have to go.
CREATE INDEX requests_by_hook ON requests (hook, verdict, id, kept_bytes);

CREATE INDEX executions_by_hook ON executions (hook, id) WHERE hook IS NOT NULL;

-- Null: the key lasts as long as keys do.
ALTER TABLE idempotency ADD COLUMN expires_at INTEGER;
CREATE INDEX idempotency_by_end ON idempotency (expires_at) WHERE expires_at IS NOT NULL;
