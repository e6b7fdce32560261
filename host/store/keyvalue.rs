//! What flows keep by `wasi:keyvalue`: values under keys, in buckets that are there as long as they hold something.
//!
//! What a flow keeps is counted with every change, so that its quota costs no look at the rest.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{Result, Store, count, stored};
use crate::clock::Timestamp;
use crate::id::FlowId;

/// Bytes of the values that one read brings into memory. A single value may have more.
const GET_BYTES_MAX: usize = 4 << 20;

/// A collection of keys of one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose it is; flows do not see each other's.
    pub flow: FlowId,
    /// Its name.
    pub name: String,
}

/// How much may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Keys of one flow, in all its buckets.
    pub keys_max: u64,
    /// Bytes of its keys and values together.
    pub bytes_max: u64,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Bytes of a value.
    pub value_bytes_max: usize,
}

/// A value under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Tells it from every other value that was under this key.
    pub mark: Mark,
    /// When it was written.
    pub updated_at: Timestamp,
}

/// Tells a value from every other that was or will be under the same key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    seq: i64,
    version: i64,
}

/// A key as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its place among all keys, by the time when they came to be.
    pub seq: u64,
    /// The key.
    pub key: String,
    /// Bytes of its value.
    pub bytes: u64,
    /// When the value was written.
    pub updated_at: Timestamp,
}

/// Where a list of keys goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// In the order of the keys, after this one; the empty one comes before all.
    Key(String),
    /// In the order in which they came to be, after this place; 0 comes before all.
    Seq(u64),
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is empty or too long.
    #[error("a key has 1 to {0} bytes")]
    Key(usize),
    /// The value is too long.
    #[error("a value has at most {0} bytes")]
    Value(usize),
    /// The flow keeps too many keys.
    #[error("a flow keeps at most {0} keys")]
    Keys(u64),
    /// The flow keeps too much.
    #[error("the keys and values of a flow have at most {0} bytes")]
    Bytes(u64),
    /// So much is not read at once.
    #[error("the values that are asked for have more than {0} bytes together")]
    TooMuch(usize),
    /// The value cannot be counted up.
    #[error("the value under `{0}` is not a whole number")]
    NoNumber(String),
    /// The sum is too large or too small.
    #[error("the number under `{0}` leaves its range")]
    OutOfRange(String),
    /// The value is not the one that was to be replaced; the one that is there now.
    #[error("the value was changed by somebody else")]
    Changed(Option<Value>),
}

impl Store {
    /// The values under keys, in the order in which the keys are given.
    pub async fn keyvalue_get(
        &self,
        bucket: Bucket,
        keys: Vec<String>,
    ) -> Result<std::result::Result<Vec<Option<Value>>, Refusal>> {
        self.read(move |c| {
            let (mut values, mut bytes) = (Vec::with_capacity(keys.len()), 0);
            for key in &keys {
                let value = find(c, &bucket, key)?;
                bytes += value.as_ref().map_or(0, |value| value.bytes.len());
                if bytes > GET_BYTES_MAX && keys.len() > 1 {
                    return Ok(Err(Refusal::TooMuch(GET_BYTES_MAX)));
                }
                values.push(value);
            }
            Ok(Ok(values))
        })
        .await
    }

    /// At most `limit` keys of a bucket.
    pub async fn keyvalue_keys(&self, bucket: Bucket, after: After, limit: u32) -> Result<Vec<Listed>> {
        self.read(move |c| {
            // The index on the keys holds what the second order needs as well.
            let (condition, order) = match after {
                After::Key(_) => ("key > ?3", "key"),
                After::Seq(_) => ("seq > ?3", "seq"),
            };
            let sql = format!(
                "SELECT seq, key, length(value), updated_at FROM keyvalue
                 WHERE flow = ?1 AND bucket = ?2 AND {condition} ORDER BY {order} LIMIT ?4"
            );
            let listed = |row: &Row<'_>| {
                Ok(Listed {
                    seq: count(row.get(0)?),
                    key: row.get(1)?,
                    bytes: count(row.get(2)?),
                    updated_at: row.get(3)?,
                })
            };
            let mut select = c.prepare_cached(&sql)?;
            let rows = match after {
                After::Key(key) => select.query_map(params![bucket.flow, bucket.name, key, limit], listed)?,
                After::Seq(seq) => select.query_map(params![bucket.flow, bucket.name, stored(seq), limit], listed)?,
            };
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The names of a flow's buckets after this one, with the number of their keys, in order.
    pub async fn keyvalue_buckets(&self, flow: FlowId, after: String, limit: u32) -> Result<Vec<(String, u64)>> {
        self.read(move |c| {
            let mut select = c.prepare_cached(
                "SELECT bucket, count(*) FROM keyvalue WHERE flow = ? AND bucket > ? GROUP BY bucket ORDER BY bucket LIMIT ?",
            )?;
            let rows = select.query_map(params![flow, after, limit], |row| Ok((row.get(0)?, count(row.get(1)?))))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Puts values under keys: all of them or, when one is refused, none.
    pub async fn keyvalue_set(
        &self,
        bucket: Bucket,
        pairs: BTreeMap<String, Vec<u8>>,
        quota: Quota,
        at: Timestamp,
    ) -> Result<std::result::Result<(), Refusal>> {
        if let Err(refusal) = pairs.iter().try_for_each(|(key, value)| quota.check(key, value.len())) {
            return Ok(Err(refusal));
        }
        self.write(move |c| {
            let mut kept = Kept::read(c, bucket.flow)?;
            for (key, value) in &pairs {
                kept.add(key, value.len(), length(c, &bucket, key)?);
            }
            if let Err(refusal) = kept.within(&quota) {
                return Ok(Err(refusal));
            }
            pairs.iter().try_for_each(|(key, value)| put(c, &bucket, key, value, at))?;
            kept.write(c, bucket.flow)?;
            Ok(Ok(()))
        })
        .await
    }

    /// Puts a value under a key if what is there still has the mark; without one, if nothing is there.
    pub async fn keyvalue_swap(
        &self,
        bucket: Bucket,
        key: String,
        expected: Option<Mark>,
        value: Vec<u8>,
        quota: Quota,
        at: Timestamp,
    ) -> Result<std::result::Result<(), Refusal>> {
        if let Err(refusal) = quota.check(&key, value.len()) {
            return Ok(Err(refusal));
        }
        self.write(move |c| {
            let there = find(c, &bucket, &key)?;
            if there.as_ref().map(|value| value.mark) != expected {
                return Ok(Err(Refusal::Changed(there)));
            }
            replace(c, &bucket, &key, there, &value, &quota, at)
        })
        .await
    }

    /// Adds to the number under a key and returns the sum, which must be in the range. It is kept as decimal digits.
    pub async fn keyvalue_increment(
        &self,
        bucket: Bucket,
        key: String,
        delta: i128,
        range: RangeInclusive<i128>,
        quota: Quota,
        at: Timestamp,
    ) -> Result<std::result::Result<i128, Refusal>> {
        if let Err(refusal) = quota.check(&key, 0) {
            return Ok(Err(refusal));
        }
        self.write(move |c| {
            let there = find(c, &bucket, &key)?;
            let before = match &there {
                None => Some(0),
                Some(value) => std::str::from_utf8(&value.bytes).ok().and_then(|text| text.parse::<i128>().ok()),
            };
            let Some(before) = before else { return Ok(Err(Refusal::NoNumber(key))) };
            let Some(sum) = before.checked_add(delta).filter(|sum| range.contains(sum)) else {
                return Ok(Err(Refusal::OutOfRange(key)));
            };
            let replaced = replace(c, &bucket, &key, there, sum.to_string().as_bytes(), &quota, at)?;
            Ok(replaced.map(|()| sum))
        })
        .await
    }

    /// Removes keys. Returns how many of them were there.
    pub async fn keyvalue_delete(&self, bucket: Bucket, keys: Vec<String>) -> Result<usize> {
        self.write(move |c| {
            let mut kept = Kept::read(c, bucket.flow)?;
            let mut removed = 0;
            for key in &keys {
                let mut delete = c.prepare_cached(
                    "DELETE FROM keyvalue WHERE flow = ? AND bucket = ? AND key = ? RETURNING length(value)",
                )?;
                let gone = delete.query_row(params![bucket.flow, bucket.name, key], |row| row.get(0)).optional()?;
                if let Some(bytes) = gone {
                    kept.remove(key, count(bytes));
                    removed += 1;
                }
            }
            if removed > 0 {
                kept.write(c, bucket.flow)?;
            }
            Ok(removed)
        })
        .await
    }
}

impl Quota {
    fn check(&self, key: &str, value_bytes: usize) -> std::result::Result<(), Refusal> {
        match () {
            () if key.is_empty() || key.len() > self.key_bytes_max => Err(Refusal::Key(self.key_bytes_max)),
            () if value_bytes > self.value_bytes_max => Err(Refusal::Value(self.value_bytes_max)),
            () => Ok(()),
        }
    }
}

/// How much a flow keeps, and how much it kept before.
#[derive(Debug, Clone, Copy)]
struct Kept {
    keys: u64,
    bytes: u64,
    before: (u64, u64),
}

impl Kept {
    fn read(c: &Connection, flow: FlowId) -> Result<Self> {
        let mut select = c.prepare_cached("SELECT keys, bytes FROM keyvalue_kept WHERE flow = ?")?;
        let kept = select.query_row([flow], |row| Ok((count(row.get(0)?), count(row.get(1)?)))).optional()?;
        let (keys, bytes) = kept.unwrap_or_default();
        Ok(Self { keys, bytes, before: (keys, bytes) })
    }

    /// Counts a value that comes in the place of one with `before` bytes, or of none.
    fn add(&mut self, key: &str, bytes: usize, before: Option<u64>) {
        match before {
            Some(before) => self.bytes = self.bytes.saturating_sub(before),
            None => {
                self.keys += 1;
                self.bytes += key.len() as u64;
            }
        }
        self.bytes += bytes as u64;
    }

    fn remove(&mut self, key: &str, bytes: u64) {
        self.keys = self.keys.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes + key.len() as u64);
    }

    /// A change that makes it less is allowed even where it is too much, as after the quota was lowered.
    fn within(&self, quota: &Quota) -> std::result::Result<(), Refusal> {
        match () {
            () if self.keys > quota.keys_max.max(self.before.0) => Err(Refusal::Keys(quota.keys_max)),
            () if self.bytes > quota.bytes_max.max(self.before.1) => Err(Refusal::Bytes(quota.bytes_max)),
            () => Ok(()),
        }
    }

    fn write(self, c: &Connection, flow: FlowId) -> Result<()> {
        c.prepare_cached("INSERT OR REPLACE INTO keyvalue_kept (flow, keys, bytes) VALUES (?, ?, ?)")?
            .execute(params![flow, stored(self.keys), stored(self.bytes)])?;
        Ok(())
    }
}

fn find(c: &Connection, bucket: &Bucket, key: &str) -> Result<Option<Value>> {
    let mut select = c.prepare_cached(
        "SELECT value, seq, version, updated_at FROM keyvalue WHERE flow = ? AND bucket = ? AND key = ?",
    )?;
    let value = |row: &Row<'_>| {
        let mark = Mark { seq: row.get(1)?, version: row.get(2)? };
        Ok(Value { bytes: row.get(0)?, mark, updated_at: row.get(3)? })
    };
    Ok(select.query_row(params![bucket.flow, bucket.name, key], value).optional()?)
}

fn length(c: &Connection, bucket: &Bucket, key: &str) -> Result<Option<u64>> {
    let mut select =
        c.prepare_cached("SELECT length(value) FROM keyvalue WHERE flow = ? AND bucket = ? AND key = ?")?;
    Ok(select.query_row(params![bucket.flow, bucket.name, key], |row| Ok(count(row.get(0)?))).optional()?)
}

/// Puts a value in the place of the one that was found there, within the quota.
fn replace(
    c: &Connection,
    bucket: &Bucket,
    key: &str,
    there: Option<Value>,
    value: &[u8],
    quota: &Quota,
    at: Timestamp,
) -> Result<std::result::Result<(), Refusal>> {
    let mut kept = Kept::read(c, bucket.flow)?;
    kept.add(key, value.len(), there.map(|there| there.bytes.len() as u64));
    if let Err(refusal) = kept.within(quota) {
        return Ok(Err(refusal));
    }
    put(c, bucket, key, value, at)?;
    kept.write(c, bucket.flow)?;
    Ok(Ok(()))
}

fn put(c: &Connection, bucket: &Bucket, key: &str, value: &[u8], at: Timestamp) -> Result<()> {
    c.prepare_cached(
        "INSERT INTO keyvalue (flow, bucket, key, version, updated_at, value) VALUES (?, ?, ?, 1, ?, ?)
         ON CONFLICT (flow, bucket, key) DO UPDATE SET version = version + 1, updated_at = excluded.updated_at,
           value = excluded.value",
    )?
    .execute(params![bucket.flow, bucket.name, key, at, value])?;
    Ok(())
}
