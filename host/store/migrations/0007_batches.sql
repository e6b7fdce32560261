-- Messages of a target that wait for company.
CREATE TABLE batched (
  seq INTEGER PRIMARY KEY,
  target BLOB NOT NULL,
  at INTEGER NOT NULL,
  event TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX batched_by_target ON batched (target, seq);
