-- Who pulls the events of a subscription: `seq` is the last event that it has done with.
CREATE TABLE consumers (
  subscription BLOB NOT NULL,
  name TEXT NOT NULL,
  seq INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  committed_at INTEGER,
  PRIMARY KEY (subscription, name)
) STRICT, WITHOUT ROWID;

-- The last event of a workspace that was too old to be kept, and when it happened.
CREATE TABLE forgotten (
  workspace BLOB PRIMARY KEY,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
