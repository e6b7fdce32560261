-- How flows and hooks that are gone were known, a flow by its name and a hook by its path id, while there are events that
-- tell of them: until those up to `seq` are told and too old. Until then what was said in a flow's conversations stays too.
CREATE TABLE departed (
  id BLOB PRIMARY KEY,
  name TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
