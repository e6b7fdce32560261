-- Deliveries have a target and a lane. `target` is a letter for the kind (`h` a hook, `s` a subscription) and the 16 bytes
-- of its id. Each target with something to send has one job, whose subject is the target and whose kind is its standing.
--
-- `next_at` of a pending delivery is null while an earlier one of its lane is pending: so what is due is found by an index,
-- and a lane of any length costs nothing while its first delivery waits.
--
-- `began_at` and `began_after` say when the schedule began, and after how many attempts: at first when the delivery was
-- made, later when it was sent again by hand. Attempts that do not count move `began_after` too.

CREATE TABLE targets (
  target BLOB PRIMARY KEY,
  failures INTEGER NOT NULL,
  proven_since INTEGER,
  failing_since INTEGER,
  failed_at INTEGER,
  held_until INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries_with_lanes (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  workspace BLOB NOT NULL,
  target BLOB NOT NULL,
  lane TEXT,
  execution BLOB,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  began_at INTEGER NOT NULL,
  began_after INTEGER NOT NULL,
  next_at INTEGER,
  finished_at INTEGER,
  url TEXT NOT NULL,
  event TEXT NOT NULL,
  error TEXT,
  body BLOB NOT NULL,
  said BLOB,
  sealed INTEGER NOT NULL,
  UNIQUE (workspace, id)
) STRICT;

INSERT INTO deliveries_with_lanes
  SELECT seq, id, workspace, CAST(x'68' || hook AS BLOB), 'exe_' || lower(hex(execution)), execution, status, attempts, created_at,
    created_at, 0, next_at, finished_at, url, event, NULL, body, said, sealed
  FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_with_lanes RENAME TO deliveries;

CREATE INDEX deliveries_by_execution ON deliveries (execution) WHERE execution IS NOT NULL;
CREATE UNIQUE INDEX deliveries_said ON deliveries (said) WHERE said IS NOT NULL;
CREATE INDEX deliveries_by_target ON deliveries (target, id);
CREATE INDEX deliveries_due ON deliveries (target, next_at) WHERE status = 'pending';
CREATE INDEX deliveries_in_lanes ON deliveries (target, lane) WHERE status = 'pending' AND lane IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (target, finished_at) WHERE status IN ('exhausted', 'abandoned');
CREATE INDEX deliveries_dead_by_id ON deliveries (workspace, id) WHERE status IN ('exhausted', 'abandoned');

UPDATE deliveries SET next_at = NULL
  WHERE status = 'pending' AND EXISTS (
    SELECT 1 FROM deliveries AS earlier
    WHERE earlier.status = 'pending' AND earlier.target = deliveries.target AND earlier.lane = deliveries.lane
      AND earlier.seq < deliveries.seq);

DELETE FROM jobs WHERE kind = 'send';
INSERT INTO jobs (kind, workspace, subject, ready_at, token)
  SELECT 'deliver_new', workspace, target, min(next_at), 0 FROM deliveries
  WHERE status = 'pending' GROUP BY workspace, target;

-- `request` and `response` are JSON lists of a name and a value for each header.
ALTER TABLE attempts ADD COLUMN target BLOB NOT NULL DEFAULT x'';
ALTER TABLE attempts ADD COLUMN url TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN request TEXT NOT NULL DEFAULT '[]';
ALTER TABLE attempts ADD COLUMN response TEXT;
ALTER TABLE attempts ADD COLUMN blame TEXT;
ALTER TABLE attempts ADD COLUMN timings TEXT;
CREATE INDEX deliveries_by_id ON deliveries (id);
UPDATE attempts SET target = (SELECT target FROM deliveries WHERE id = delivery)
  WHERE delivery IN (SELECT id FROM deliveries);
DROP INDEX deliveries_by_id;
CREATE INDEX attempts_by_target ON attempts (target, at, status, duration_ms);
