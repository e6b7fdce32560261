-- What flows that a flow called spent on language models by UTC day; it counts for the budgets of the caller.
CREATE TABLE llm_called (
  flow BLOB NOT NULL,
  day INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  micro_usd INTEGER NOT NULL,
  PRIMARY KEY (flow, day)
) STRICT, WITHOUT ROWID;
