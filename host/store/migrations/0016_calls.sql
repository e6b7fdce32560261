-- What the calls of an attempt came to, as far as it is kept: a JSON list, as of spans.
CREATE TABLE calls (
  execution BLOB NOT NULL,
  attempt INTEGER NOT NULL,
  dropped INTEGER NOT NULL,
  calls TEXT NOT NULL,
  PRIMARY KEY (execution, attempt)
) STRICT, WITHOUT ROWID;
