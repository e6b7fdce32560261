-- What the operator permits a flow, as JSON, and the secrets that it may use. A secret is sealed for the row's flow and name.
ALTER TABLE flows ADD COLUMN grants TEXT NOT NULL DEFAULT '{}';

-- Executions that one instance may run, one after the other.
ALTER TABLE flows ADD COLUMN reuse_max INTEGER NOT NULL DEFAULT 1;

-- A version that is tried with a part of an alias's sessions.
ALTER TABLE aliases ADD COLUMN canary BLOB;
ALTER TABLE aliases ADD COLUMN canary_percent INTEGER NOT NULL DEFAULT 0;

CREATE TABLE flow_secrets (
  flow BLOB NOT NULL,
  name TEXT NOT NULL,
  sealed BLOB NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (flow, name)
) STRICT, WITHOUT ROWID;

-- What flows keep by `wasi:keyvalue`. `seq` is never used again, so that it and `version` tell a value from all others that
-- were under its key.
CREATE TABLE keyvalue (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  flow BLOB NOT NULL,
  bucket TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  value BLOB NOT NULL,
  UNIQUE (flow, bucket, key)
) STRICT;

-- How much each flow keeps there, in all its buckets.
CREATE TABLE keyvalue_kept (
  flow BLOB PRIMARY KEY,
  keys INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The execution whose flow called this one, and how many callers stand above it.
ALTER TABLE executions ADD COLUMN parent BLOB;
ALTER TABLE executions ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
CREATE INDEX executions_by_parent ON executions (parent, id) WHERE parent IS NOT NULL;

-- How long the calls of an attempt took: a JSON list, as of logs.
CREATE TABLE spans (
  execution BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  spans TEXT NOT NULL,
  PRIMARY KEY (execution, attempt)
) STRICT, WITHOUT ROWID;

-- What a flow spent on language models, by UTC day (days since 1970) and alias.
CREATE TABLE llm_usage (
  flow BLOB NOT NULL,
  day INTEGER NOT NULL,
  model TEXT NOT NULL,
  calls INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cached_tokens INTEGER NOT NULL,
  micro_usd INTEGER NOT NULL,
  PRIMARY KEY (flow, day, model)
) STRICT, WITHOUT ROWID;

ALTER TABLE executions ADD COLUMN llm_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN llm_input_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN llm_output_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN llm_cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN llm_micro_usd INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN llm_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN llm_tokens INTEGER NOT NULL DEFAULT 0;
