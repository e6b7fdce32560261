//! What flows spent on language models.

use rusqlite::params;
use serde::Serialize;

use super::{Result, Store, count, stored};
use crate::id::FlowId;

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
    /// Adds to what a flow spent on a model in a day.
    pub async fn llm_spend(&self, flow: FlowId, day: i64, model: String, usage: LlmUsage) -> Result<()> {
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
            Ok(())
        })
        .await
    }

    /// What a flow spent in a day, on all models.
    pub async fn llm_spent(&self, flow: FlowId, day: i64) -> Result<LlmUsage> {
        let mut spent = LlmUsage::default();
        for one in self.llm_days(flow, day, 1_000).await?.into_iter().filter(|one| one.day == day) {
            spent.add(one.usage);
        }
        Ok(spent)
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
