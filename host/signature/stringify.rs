//! A JSON text as JavaScript would write it after reading it.
//!
//! Some senders sign `JSON.stringify` of what they send and let a library send it in another form. What they signed can be
//! had from what came: it is `JSON.stringify(JSON.parse(body))`, to the byte. Source: ECMA-262 §25.5 (2025), and Number::toString,
//! QuoteJSONString and OrdinaryOwnPropertyKeys of it.

use std::collections::HashMap;
use std::fmt::Write as _;

/// A text larger than this is not written anew.
const BYTES_MAX: usize = 256 * 1024;
/// Nor one with more arrays and objects inside each other.
const DEPTH_MAX: usize = 128;

/// `JSON.stringify(JSON.parse(text))`; none when the text is not JSON, or beyond the limits.
pub fn stringify(text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > BYTES_MAX {
        return None;
    }
    // Checks the grammar, so that the reader below need not.
    serde_json::from_slice::<serde::de::IgnoredAny>(text).ok()?;
    let mut reader = Reader { rest: std::str::from_utf8(text).ok()? };
    reader.value(0).map(String::into_bytes)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<String> {
        match self.peek()? {
            b'{' if depth < DEPTH_MAX => self.object(depth + 1),
            b'[' if depth < DEPTH_MAX => self.array(depth + 1),
            b'{' | b'[' => None,
            b'"' => self.string().map(|text| quote(&text)),
            _ => Some(self.word()),
        }
    }

    /// The next byte that means something.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.bytes().next()
    }

    /// Passes over an ASCII byte if it is the next that means something.
    fn pass(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.rest = &self.rest[1..];
        }
        next
    }

    fn array(&mut self, depth: usize) -> Option<String> {
        self.pass(b'[');
        let mut items = Vec::new();
        while !self.pass(b']') {
            items.push(self.value(depth)?);
            self.pass(b',');
        }
        Some(format!("[{}]", items.join(",")))
    }

    /// A name that comes twice has its first place and its last value; names that are array indexes come first.
    fn object(&mut self, depth: usize) -> Option<String> {
        self.pass(b'{');
        let mut places = HashMap::new();
        let mut members: Vec<(Vec<u16>, String)> = Vec::new();
        while !self.pass(b'}') {
            self.peek();
            let name = self.string()?;
            self.pass(b':');
            let value = self.value(depth)?;
            self.pass(b',');
            match places.get(&name) {
                Some(&place) => members[place] = (name, value),
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
        // The sort keeps the order of what it holds equal.
        members.sort_by_key(|(name, _)| array_index(name).unwrap_or(u32::MAX));
        let members = members.iter().map(|(name, value)| format!("{}:{value}", quote(name)));
        Some(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    /// A string as UTF-16, since an escape can name half of a pair.
    fn string(&mut self) -> Option<Vec<u16>> {
        let mut units = Vec::new();
        let mut chars = self.rest.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => units.push(match chars.next()? {
                    'b' => 0x08,
                    'f' => 0x0c,
                    'n' => 0x0a,
                    'r' => 0x0d,
                    't' => 0x09,
                    'u' => {
                        let (hex, rest) = chars.as_str().split_at_checked(4)?;
                        chars = rest.chars();
                        u16::from_str_radix(hex, 16).ok()?
                    }
                    other => u16::try_from(u32::from(other)).ok()?,
                }),
                other => units.extend_from_slice(other.encode_utf16(&mut [0; 2])),
            }
        }
        self.rest = chars.as_str();
        Some(units)
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> String {
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\r', '\n']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.parse().map_or_else(|_| word.to_owned(), number)
    }
}

/// The number that a name stands for when it is an array index: 0 to 2³²−2, as it would be printed.
fn array_index(name: &[u16]) -> Option<u32> {
    let text = String::from_utf16(name).ok()?;
    let index = text.parse::<u32>().ok()?;
    (index < u32::MAX && index.to_string() == text).then_some(index)
}

/// The fewest digits that stand for this number and no other, laid out as JavaScript does.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "null".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let shortest = format!("{:e}", value.abs());
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = digits.replace('.', "");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    // The point stands after this many digits.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let at = usize::try_from(point).unwrap_or(0);
    match point {
        _ if (count..=21).contains(&point) => format!("{sign}{digits}{}", zeros(point - count)),
        1..=21 => format!("{sign}{}.{}", &digits[..at], &digits[at..]),
        -5..=0 => format!("{sign}0.{}{digits}", zeros(-point)),
        _ => {
            let fraction = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
            format!("{sign}{}{fraction}e{:+}", &digits[..1], point - 1)
        }
    }
}

fn quote(units: &[u16]) -> String {
    let mut text = String::with_capacity(units.len() + 2);
    text.push('"');
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok('"') => text.push_str("\\\""),
            Ok('\\') => text.push_str("\\\\"),
            Ok('\u{8}') => text.push_str("\\b"),
            Ok('\u{c}') => text.push_str("\\f"),
            Ok('\n') => text.push_str("\\n"),
            Ok('\r') => text.push_str("\\r"),
            Ok('\t') => text.push_str("\\t"),
            Ok(control) if control < ' ' => escape(&mut text, u32::from(control)),
            Ok(other) => text.push(other),
            Err(half) => escape(&mut text, u32::from(half.unpaired_surrogate())),
        }
    }
    text.push('"');
    text
}

fn escape(text: &mut String, unit: u32) {
    write!(text, "\\u{unit:04x}").expect("a String takes what is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of a text and what node 20 makes of it.
    const FIXTURE: &str = include_str!("../../tests/fixtures/stringify.json");

    #[test]
    fn texts_become_what_javascript_makes_of_them() {
        let pairs: Vec<(String, String)> = serde_json::from_str(FIXTURE).unwrap();
        assert!(pairs.len() > 50);
        for (text, expected) in pairs {
            let made = stringify(text.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(made.as_deref(), Some(expected.as_str()), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_or_too_large_is_left_alone() {
        for text in ["", "a=1&b=2", "{\"a\":1,}", "\"\\x\"", "01", "1.", "[1 2]", "\u{feff}{}", "nul", "{}x"] {
            assert_eq!(stringify(text.as_bytes()), None, "{text}");
        }
        assert_eq!(stringify(b"\"\xff\""), None);
        assert_eq!(stringify(format!("\"{}\"", "x".repeat(BYTES_MAX)).as_bytes()), None);
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(stringify(nested(DEPTH_MAX).as_bytes()).is_some());
        assert_eq!(stringify(nested(DEPTH_MAX + 1).as_bytes()), None);
    }
}
