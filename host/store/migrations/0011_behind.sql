-- Targets that are told of events later than others, from the log: `seq` is the last event that they were told of.
CREATE TABLE behind (
  target BLOB PRIMARY KEY,
  workspace BLOB NOT NULL,
  seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX behind_by_seq ON behind (seq);
CREATE INDEX events_by_workspace ON events (workspace, seq);

-- Null: the event `seq` has been told to everybody. Otherwise only to the subscriptions up to this one.
ALTER TABLE cursors ADD COLUMN subscription BLOB;
