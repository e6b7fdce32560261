//! What a command says: data on stdout, all else on stderr.
//!
//! With `--json` stdout holds the API's own JSON. Otherwise it is for people: short lines and aligned tables, in which
//! nothing that came from outside can steer the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write as _};

use serde_json::Value;

/// The columns of a table, or the lines about one thing: a title, and where its value is (RFC 6901).
pub(super) type Columns<'a> = &'a [(&'a str, &'a str)];

/// Where a command writes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Out {
    json: bool,
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a machine reads.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Writes an answer of the API: for machines as it is, for people as `told` says.
    pub(super) fn answer(self, answer: &Value, told: impl FnOnce(&Value) -> String) -> io::Result<()> {
        if self.json { self.data(answer) } else { self.text(&told(answer)) }
    }

    /// Writes a list of the API, and on stderr how to get the rest of it.
    pub(super) fn list(self, list: &Value, columns: Columns<'_>) -> io::Result<()> {
        self.answer(list, |list| table(columns, list["data"].as_array().map_or(&[], Vec::as_slice)))?;
        match list["next_cursor"].as_str() {
            Some(cursor) => self.hint(format_args!("there is more: --cursor {cursor}")),
            None => Ok(()),
        }
    }

    /// Writes what was done, for people; a machine learns it from the exit code.
    pub(super) fn done(self, text: impl Display) -> io::Result<()> {
        if self.json { Ok(()) } else { self.text(&format!("{text}\n")) }
    }

    /// Writes pretty JSON.
    pub(super) fn data(self, value: &Value) -> io::Result<()> {
        self.text(&format!("{value:#}\n"))
    }

    /// Writes JSON on one line, for streams.
    pub(super) fn data_line(self, value: &Value) -> io::Result<()> {
        self.text(&format!("{value}\n"))
    }

    /// Writes text, at once.
    pub(super) fn text(self, text: &str) -> io::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes, at once.
    pub(super) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        stdout.flush()
    }

    /// Says on stderr what went wrong.
    pub(super) fn complain(self, error: &anyhow::Error) -> io::Result<()> {
        writeln!(io::stderr(), "error: {error:#}")
    }

    /// Says something on stderr that a person may want to know next.
    pub(super) fn hint(self, text: impl Display) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stderr(), "{text}") }
    }
}

/// Rows under titles, each column as wide as its widest cell.
pub(super) fn table(columns: Columns<'_>, rows: &[Value]) -> String {
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect::<Vec<_>>();
    let cells = rows.iter().map(|row| columns.iter().map(|(_, at)| cell(row.pointer(at))).collect());
    let lines = std::iter::once(titles).chain(cells).collect::<Vec<Vec<String>>>();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths = (0..columns.len()).map(width).collect::<Vec<_>>();
    let aligned = |line: &Vec<String>| {
        let padded = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    lines.iter().map(aligned).collect()
}

/// One line for each value that is there.
pub(super) fn fields(columns: Columns<'_>, value: &Value) -> String {
    let there = |at: &str| value.pointer(at).filter(|value| !value.is_null());
    let found = columns.iter().filter_map(|(title, at)| Some((title, cell(Some(there(at)?)))));
    let found = found.collect::<Vec<_>>();
    let width = found.iter().map(|(title, _)| title.chars().count()).max().unwrap_or(0);
    found.iter().map(|(title, value)| format!("{title:<width$}  {value}\n")).collect()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::String(text)) => line(text).into_owned(),
        Some(other) => other.to_string(),
    }
}

/// Text on one line.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Text that may have several lines.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

/// Shows control characters instead of sending them to the terminal, which would obey them.
fn escaped(text: &str, kept: impl Fn(char) -> bool) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !kept(c);
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if obeyed(c) { c.escape_default().collect() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [json!({"id": "a", "n": 1, "on": true}), json!({"id": "längst", "n": null, "on": false})];
        let table = table(&[("ID", "/id"), ("N", "/n"), ("ON", "/on")], &rows);
        assert_eq!(table, "ID      N  ON\na       1  yes\nlängst  -  no\n");
        assert_eq!(fields(&[("id", "/id"), ("none", "/x"), ("on", "/on")], &rows[0]), "id  a\non  yes\n");
    }

    #[test]
    fn what_came_from_outside_does_not_steer_the_terminal() {
        let hostile = "a\u{1b}[2Jb\r\nc\u{9b}";
        assert_eq!(line(hostile), r"a\u{1b}[2Jb\r\nc\u{9b}");
        assert_eq!(lines("a\n\tb\u{7}"), "a\n\tb\\u{7}");
        assert!(matches!(line("naïve"), Cow::Borrowed(_)));
    }
}
