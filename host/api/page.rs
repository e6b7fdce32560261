//! Lists, a page at a time.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::id::{Id, Kind};
use crate::problem::{Problem, kind};
use crate::store::Page;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    /// Newest first, where it has to do with time.
    pub(super) data: Vec<T>,
    /// What to send as `cursor` for the next page; null at the end.
    pub(super) next_cursor: Option<String>,
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
#[derive(Default)]
pub(super) struct Paging {
    /// Entries on a page.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    pub(super) limit: Limit,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// Entries on a page: 1 to 200.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(u32);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl Limit {
    /// The number.
    pub(super) fn get(self) -> usize {
        self.0 as usize
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, 1, 200).map(Self)
    }
}

/// A number in the query.
pub(super) fn bounded<'de, D: Deserializer<'de>>(deserializer: D, least: u32, most: u32) -> Result<u32, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| D::Error::custom(format_args!("is `{text}`; allowed: {least} to {most}")))
}

/// Words of a table in the query, separated by commas.
pub(super) fn words<'de, T: Copy, D: Deserializer<'de>>(
    deserializer: D,
    all: &[T],
    word_of: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let found = words.map(|word| all.iter().copied().find(|one| word_of(*one) == word)).collect::<Option<_>>();
    found.ok_or_else(|| {
        let allowed = all.iter().map(|one| word_of(*one)).collect::<Vec<_>>().join(", ");
        D::Error::custom(format_args!("is `{text}`; allowed, separated by commas: {allowed}"))
    })
}

impl Paging {
    /// What to ask the store for: one row more than is shown, which tells whether there are others.
    pub(super) fn page<K: Kind>(&self) -> Result<Page<K>, Problem> {
        let before = self.cursor.as_deref().map(str::parse::<Id<K>>).transpose();
        let before = before.map_err(|error| Problem::field("cursor", error.to_string()))?;
        Ok(Page { limit: self.rows(), before })
    }

    /// How many rows to ask the store for, likewise.
    pub(super) fn rows(&self) -> u32 {
        self.limit.0 + 1
    }

    /// The page behind `rows`, which [`Paging::page`] asked for. `place` names a row's place in the list.
    pub(super) fn cut<R>(&self, mut rows: Vec<R>, place: impl Fn(&R) -> String) -> List<R> {
        let shown = self.limit.0 as usize;
        let more = rows.len() > shown;
        rows.truncate(shown);
        let next_cursor = rows.last().filter(|_| more).map(place);
        List { data: rows, next_cursor }
    }

    /// The page of a list that the store gives whole.
    pub(super) fn of_all<R, P>(&self, mut rows: Vec<R>, place: impl Fn(&R) -> P) -> Result<List<R>, Problem>
    where
        P: FromStr<Err: Display> + Display + PartialEq,
    {
        if let Some(cursor) = &self.cursor {
            let cursor: P = cursor.parse().map_err(|error: P::Err| Problem::field("cursor", error.to_string()))?;
            let gone = || Problem::new(&kind::NOT_FOUND, format!("`{cursor}` is not in this list; begin anew"));
            let last = rows.iter().position(|row| place(row) == cursor).ok_or_else(gone)?;
            rows.drain(..=last);
        }
        Ok(self.cut(rows, |row| place(row).to_string()))
    }
}

impl<R> List<R> {
    /// The same page with its rows as they are shown.
    pub(super) fn show<T>(self, show: impl FnMut(R) -> T) -> List<T> {
        List { data: self.data.into_iter().map(show).collect(), next_cursor: self.next_cursor }
    }
}
