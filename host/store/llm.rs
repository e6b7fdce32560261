//! What flows spent on language models.

use rusqlite::params;
use serde::Serialize;

use super::{Result, Store, count, stored};
use crate::id::{ExecutionId, FlowId};

/// What calls of models took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LlmUsage {
    /// Calls.
    pub calls: u64,
    /// Tokens in, those cached included.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Tokens in that the provider had cached.
    pub cached_tokens: u64,
    /// Millionths of a US dollar, where there are prices.
    pub micro_usd: u64,
}

impl LlmUsage {
    /// Tokens in and out.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Adds what others took.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.micro_usd += other.micro_usd;
    }
}

/// What counts for a flow in one day: its own calls, and those of flows that it called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LlmSpent {
    /// Tokens in and out.
    pub tokens: u64,
    /// Millionths of a US dollar, where there are prices.
    pub micro_usd: u64,
}

/// What a flow spent on one model in one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LlmDay {
    /// The UTC day, counted from 1970.
    pub day: i64,
    /// The alias.
    pub model: String,
    /// What the calls took.
    pub usage: LlmUsage,
}

impl Store {
    /// Adds to what a flow spent on a model in a day, and to what counts there for those that it spends it for.
    pub async fn llm_spend(
        &self,
        flow: FlowId,
        callers: Vec<FlowId>,
        day: i64,
        model: String,
        usage: LlmUsage,
    ) -> Result<()> {
        self.write(move |c| {
            c.prepare_cached(
                "INSERT INTO llm_usage (flow, day, model, calls, input_tokens, output_tokens, cached_tokens, micro_usd)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                   input_tokens = input_tokens + excluded.input_tokens,
                   output_tokens = output_tokens + excluded.output_tokens,
                   cached_tokens = cached_tokens + excluded.cached_tokens, micro_usd = micro_usd + excluded.micro_usd",
            )?
            .execute(params![
                flow,
                day,
                model,
                stored(usage.calls),
                stored(usage.input_tokens),
                stored(usage.output_tokens),
                stored(usage.cached_tokens),
                stored(usage.micro_usd)
            ])?;
            for caller in callers {
                c.prepare_cached(
                    "INSERT INTO llm_called (flow, day, tokens, micro_usd) VALUES (?, ?, ?, ?)
                     ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens,
                       micro_usd = micro_usd + excluded.micro_usd",
                )?
                .execute(params![caller, day, stored(usage.tokens()), stored(usage.micro_usd)])?;
            }
            Ok(())
        })
        .await
    }

    /// What counts for a flow in a day, on all models.
    pub async fn llm_spent(&self, flow: FlowId, day: i64) -> Result<LlmSpent> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT coalesce(sum(tokens), 0), coalesce(sum(micro_usd), 0) FROM (
                   SELECT input_tokens + output_tokens AS tokens, micro_usd FROM llm_usage WHERE flow = ?1 AND day = ?2
                   UNION ALL SELECT tokens, micro_usd FROM llm_called WHERE flow = ?1 AND day = ?2)",
            )?;
            Ok(select.query_row(params![flow, day], |row| {
                Ok(LlmSpent { tokens: count(row.get(0)?), micro_usd: count(row.get(1)?) })
            })?)
        })
        .await
    }

    /// Tokens of the executions that an execution called and waited for, and of those that these called. What it only started
    /// pays for itself.
    pub async fn llm_called(&self, execution: ExecutionId) -> Result<u64> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "WITH RECURSIVE called (id, tokens) AS (
                   SELECT id, llm_input_tokens + llm_output_tokens FROM executions INDEXED BY executions_by_parent
                   WHERE parent = ? AND mode = 'sync'
                   UNION ALL
                   SELECT e.id, e.llm_input_tokens + e.llm_output_tokens FROM called
                   JOIN executions AS e INDEXED BY executions_by_parent ON e.parent = called.id AND e.mode = 'sync')
                 SELECT coalesce(sum(tokens), 0) FROM called",
            )?;
            Ok(select.query_row([execution], |row| row.get(0).map(count))?)
        })
        .await
    }

    /// What a flow spent since a day, by day and model, the newest first; at most `limit` rows.
    pub async fn llm_days(&self, flow: FlowId, since: i64, limit: u32) -> Result<Vec<LlmDay>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT day, model, calls, input_tokens, output_tokens, cached_tokens, micro_usd FROM llm_usage
                 WHERE flow = ? AND day >= ? ORDER BY day DESC, model LIMIT ?",
            )?;
            let rows = select.query_map(params![flow, since, limit], |row| {
                let usage = LlmUsage {
                    calls: count(row.get(2)?),
                    input_tokens: count(row.get(3)?),
                    output_tokens: count(row.get(4)?),
                    cached_tokens: count(row.get(5)?),
                    micro_usd: count(row.get(6)?),
                };
                Ok(LlmDay { day: row.get(0)?, model: row.get(1)?, usage })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}
