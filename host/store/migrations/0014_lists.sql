-- So that no list looks at more as history grows: the executions of a conversation, whatever their flow, and those that did
-- not succeed. The latter are few, and only they pay for it.
DROP INDEX executions_by_session;
CREATE INDEX executions_by_session ON executions (workspace, session, id) WHERE session IS NOT NULL;
CREATE INDEX executions_unlucky ON executions (workspace, status, id) WHERE status IN ('failed', 'canceled', 'timed_out');
