-- Ids are the 16 bytes of a UUIDv7, digests 32 bytes, times milliseconds since 1970.

CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE workspaces (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
  id BLOB PRIMARY KEY,
  workspace BLOB NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  hash BLOB NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE flows (
  id BLOB PRIMARY KEY,
  workspace BLOB NOT NULL,
  name TEXT NOT NULL,
  config TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (workspace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE versions (
  flow BLOB NOT NULL,
  digest BLOB NOT NULL,
  state TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  detail TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (flow, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_digest ON versions (digest);

-- `history` is the digests that the alias had before, oldest first, 32 bytes each.
CREATE TABLE aliases (
  flow BLOB NOT NULL,
  name TEXT NOT NULL,
  digest BLOB NOT NULL,
  history BLOB NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (flow, name)
) STRICT, WITHOUT ROWID;

-- `secrets` is sealed.
CREATE TABLE hooks (
  id BLOB PRIMARY KEY,
  workspace BLOB NOT NULL,
  flow BLOB NOT NULL,
  name TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  spec TEXT NOT NULL,
  secrets BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (workspace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX hooks_by_flow ON hooks (flow);

-- Requests that made no execution, and why. `hook` is null when there is no such hook.
CREATE TABLE requests (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB,
  hook BLOB,
  at INTEGER NOT NULL,
  status INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX requests_by_hook ON requests (hook, seq);

-- The wide columns come last, so that a list does not read their overflow pages.
CREATE TABLE executions (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB NOT NULL,
  flow BLOB NOT NULL,
  hook BLOB,
  version BLOB NOT NULL,
  status TEXT NOT NULL,
  reason TEXT,
  mode TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  session TEXT,
  replay_of BLOB,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  deadline_ms INTEGER NOT NULL,
  cpu_us INTEGER NOT NULL,
  memory_bytes INTEGER NOT NULL,
  callback TEXT,
  outcome TEXT,
  trigger TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (workspace, id)
) STRICT;
CREATE INDEX executions_by_flow ON executions (flow, id);
CREATE INDEX executions_by_session ON executions (flow, session, id) WHERE session IS NOT NULL;
CREATE INDEX executions_unfinished ON executions (status, id) WHERE finished_at IS NULL;

-- What an execution said, in the order in which it said it.
CREATE TABLE outputs (
  execution BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  n INTEGER NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (execution, attempt, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
  execution BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  lines TEXT NOT NULL,
  PRIMARY KEY (execution, attempt)
) STRICT, WITHOUT ROWID;

-- Which execution answered a key. The key and the fingerprint of the request are sha-256 hashes.
CREATE TABLE idempotency (
  seq INTEGER PRIMARY KEY,
  hook BLOB NOT NULL,
  key BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  execution BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (hook, key)
) STRICT;

-- A job is ready when `ready_at` has come. A lease moves `ready_at` into the future and changes `token`, so a job whose
-- worker died becomes ready by itself, and a worker that lost its lease can no longer finish the job.
CREATE TABLE jobs (
  seq INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  workspace BLOB NOT NULL,
  subject BLOB NOT NULL,
  ready_at INTEGER NOT NULL,
  token INTEGER NOT NULL,
  owner INTEGER,
  UNIQUE (subject, kind)
) STRICT;
CREATE INDEX jobs_ready ON jobs (kind, ready_at);
CREATE INDEX jobs_owned ON jobs (owner) WHERE owner IS NOT NULL;

CREATE TABLE deliveries (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB NOT NULL,
  hook BLOB NOT NULL,
  execution BLOB NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  next_at INTEGER,
  finished_at INTEGER,
  url TEXT NOT NULL,
  event TEXT NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (workspace, id)
) STRICT;
CREATE INDEX deliveries_by_execution ON deliveries (execution);
CREATE INDEX deliveries_by_hook ON deliveries (hook, id);

CREATE TABLE attempts (
  delivery BLOB NOT NULL,
  n INTEGER NOT NULL,
  id BLOB NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  duration_ms INTEGER NOT NULL,
  answer BLOB NOT NULL,
  PRIMARY KEY (delivery, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
  flow BLOB NOT NULL,
  session TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  role TEXT NOT NULL,
  text TEXT NOT NULL,
  data TEXT,
  PRIMARY KEY (flow, session, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE state (
  flow BLOB NOT NULL,
  session TEXT NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (flow, session, key)
) STRICT, WITHOUT ROWID;
