-- Outgoing webhooks. Names need not be unique; `secrets` is sealed.
CREATE TABLE subscriptions (
  id BLOB PRIMARY KEY,
  workspace BLOB NOT NULL,
  name TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  disabled_reason TEXT,
  spec TEXT NOT NULL,
  secrets BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX subscriptions_by_name ON subscriptions (workspace, name);
