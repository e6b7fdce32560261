-- What happened, in the order in which it became true. Written only for workspaces that have somebody to tell. `facts`
-- is what cannot be read from the rows that the event speaks of.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL,
  flow BLOB,
  execution BLOB,
  session TEXT,
  facts TEXT NOT NULL
) STRICT;

-- How far a reader of the events has come.
CREATE TABLE cursors (
  name TEXT PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A conversation. `ended_at` is null while it goes on; one that goes on after its end begins anew, with the message
-- after the last one of before.
CREATE TABLE sessions (
  flow BLOB NOT NULL,
  session TEXT NOT NULL,
  workspace BLOB NOT NULL,
  started_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  ended_at INTEGER,
  first_message INTEGER NOT NULL,
  executions INTEGER NOT NULL,
  cpu_us INTEGER NOT NULL,
  PRIMARY KEY (flow, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_open ON sessions (last_at) WHERE ended_at IS NULL;
