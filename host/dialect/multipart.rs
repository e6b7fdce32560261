//! `multipart/form-data` as JSON (RFC 7578, RFC 2046 §5.1).
//!
//! A field is a text. A file is where its bytes are, so that a flow finds them in the body without a parser of its own:
//! `{"filename","content_type","part","offset","size_bytes"}`.

use memchr::memmem::{self, Finder};
use serde::Serialize;
use serde_json::Value;

use super::Malformed;
use super::form::Fields;
use crate::trigger::Json;

/// The longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A file of a form.
#[derive(Serialize)]
struct File<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    part: usize,
    offset: usize,
    size_bytes: usize,
}

/// A part, by where it is in the body.
struct Part<'a> {
    number: usize,
    head: &'a [u8],
    offset: usize,
    content: &'a [u8],
}

/// Reads a form with the boundary that its `content-type` tells.
pub(super) fn parse(content_type: &str, body: &[u8]) -> Result<Json, Malformed> {
    let boundary = parameter(content_type, "boundary").filter(|text| (1..=BOUNDARY_BYTES_MAX).contains(&text.len()));
    let boundary = boundary.ok_or_else(|| wrong("its `content-type` has no `boundary` of 1 to 70 bytes"))?;
    let delimiter = format!("\r\n--{boundary}");
    let mut parts = Parts::of(body, delimiter.as_bytes())?;
    let mut fields = Fields::default();
    while let Some(part) = parts.next()? {
        let (name, value) = field(&part)?;
        fields.add(name, value)?;
    }
    Ok(fields.into_json())
}

/// A body that is cut at its boundaries. What stands before the first and after the last one means nothing.
struct Parts<'a> {
    body: &'a [u8],
    delimiter: Finder<'a>,
    /// The end of the last boundary.
    at: usize,
    number: usize,
}

impl<'a> Parts<'a> {
    fn of(body: &'a [u8], delimiter: &'a [u8]) -> Result<Self, Malformed> {
        let length = delimiter.len();
        let delimiter = Finder::new(delimiter);
        let at = match body.starts_with(&delimiter.needle()[2..]) {
            true => length - 2,
            false => length + delimiter.find(body).ok_or_else(|| wrong("its boundary is not there"))?,
        };
        Ok(Self { body, delimiter, at, number: 0 })
    }

    /// The next part; none after the closing boundary.
    fn next(&mut self) -> Result<Option<Part<'a>>, Malformed> {
        let Self { body, at, number, .. } = *self;
        if body[at..].starts_with(b"--") {
            return Ok(None);
        }
        let padding = body[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = body[at + padding..].strip_prefix(b"\r\n");
        let rest = rest.ok_or_else(|| wrong(format!("the boundary of part {number} does not end its line")))?;
        let end = self.delimiter.find(rest).ok_or_else(|| wrong(format!("no boundary ends part {number}")))?;
        let start = body.len() - rest.len();
        let blank = memmem::find(&rest[..end], b"\r\n\r\n");
        let (head, skipped) = blank.map_or((end, end), |head| (head, head + 4));
        self.at = start + end + self.delimiter.needle().len();
        self.number += 1;
        Ok(Some(Part { number, head: &rest[..head], offset: start + skipped, content: &rest[skipped..end] }))
    }
}

/// The name and the value of a part. What has no file name and is text is a text.
fn field(part: &Part<'_>) -> Result<(String, Value), Malformed> {
    let number = part.number;
    let head = std::str::from_utf8(part.head).map_err(|_| wrong(format!("the head of part {number} is not UTF-8")))?;
    let header = |wanted: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let disposition = header("content-disposition").unwrap_or("");
    let name = parameter(disposition, "name");
    let name = name.ok_or_else(|| wrong(format!("part {number} has no `content-disposition` with a `name`")))?;
    let filename = parameter(disposition, "filename");
    if let (None, Ok(text)) = (&filename, std::str::from_utf8(part.content)) {
        return Ok((name, Value::String(text.to_owned())));
    }
    let (offset, size_bytes) = (part.offset, part.content.len());
    let file = File { filename, content_type: header("content-type"), part: number, offset, size_bytes };
    Ok((name, serde_json::to_value(file).expect("a file has a JSON form")))
}

/// A parameter of a header's value, such as `name` of `form-data; name="a"; filename="b; c"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let (_, mut rest) = value.split_once(';')?;
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, after) = match value.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (value, after) = value.split_at(value.find(';').unwrap_or(value.len()));
                (value.trim().to_owned(), after)
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

/// A text up to its closing quote, and what comes after. A backslash before anything but a quote or another one is part of
/// the text, since some senders put whole paths there.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        value.push_str(&rest[..at]);
        let (mark, after) = rest[at..].split_at(1);
        if mark == "\"" {
            return Some((value, after));
        }
        let escaped = after.chars().next().filter(|next| matches!(next, '"' | '\\'));
        value.push(escaped.unwrap_or('\\'));
        rest = &after[escaped.map_or(0, char::len_utf8)..];
    }
}

fn wrong(why: impl Into<String>) -> Malformed {
    Malformed::Form(why.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(boundary: &str, body: &[u8]) -> Result<Value, String> {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let json = parse(&content_type, body).map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(json.as_str()).unwrap())
    }

    #[test]
    fn fields_are_texts_and_files_are_where_their_bytes_are() {
        let body = b"preamble\r\n--b \t\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\ntwo\r\nlines\r\n--b\r\n\
            content-type: image/png\r\nContent-Disposition: form-data; name=\"pic\"; filename=\"a; \\\"b\\\".png\"\r\n\r\n\
            \x89PNG\r\n\x00\r\n--b\r\nContent-Disposition: form-data; name=note\r\n\r\n\r\n--b\r\n\
            Content-Disposition: form-data; name=raw\r\n\r\n\xff\r\n--b--\r\nepilogue";
        let parsed = form("b", body).unwrap();
        let pic = &parsed["pic"];
        let expected = json!({
            "note": ["two\r\nlines", ""],
            "pic": { "filename": "a; \"b\".png", "content_type": "image/png", "part": 1, "offset": pic["offset"], "size_bytes": 7 },
            "raw": { "part": 3, "offset": parsed["raw"]["offset"], "size_bytes": 1 },
        });
        assert_eq!(parsed, expected);
        let bytes = |file: &Value| {
            let number = |member: &str| usize::try_from(file[member].as_u64().unwrap()).unwrap();
            &body[number("offset")..][..number("size_bytes")]
        };
        assert_eq!((bytes(pic), bytes(&parsed["raw"])), (&b"\x89PNG\r\n\x00"[..], &b"\xff"[..]));
    }

    #[test]
    fn boundaries_are_read_as_senders_write_them() {
        let body = |boundary: &str| {
            format!("--{boundary}\r\ncontent-disposition:form-data;name=\"a\"\r\n\r\n1\r\n--{boundary}--").into_bytes()
        };
        for (told, boundary) in
            [("----WebKitFormBoundaryx", "----WebKitFormBoundaryx"), ("\"a b\"; charset=utf-8", "a b"), ("'q'", "'q'")]
        {
            assert_eq!(form(told, &body(boundary)), Ok(json!({ "a": "1" })), "{told}");
        }
        assert_eq!(form("x", b"--x--\r\n"), Ok(json!({})));
        assert_eq!(parameter("form-data; name=\"Z:\\tmp\\f\"; x=\"\\\\\"", "name").unwrap(), "Z:\\tmp\\f");
        assert_eq!(parameter("form-data; x=\"name=1\"; NAME = 2 ; y", "name").unwrap(), "2");
        assert_eq!(parameter("form-data; name=\"open", "name"), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let head = "Content-Disposition: form-data; name=a";
        for (boundary, body, told) in [
            ("", "--b--", "its `content-type` has no `boundary` of 1 to 70 bytes"),
            (&"b".repeat(71)[..], "--b--", "its `content-type` has no `boundary` of 1 to 70 bytes"),
            ("b", "{}", "its boundary is not there"),
            ("b", "--b", "the boundary of part 0 does not end its line"),
            ("b", "--bc\r\n", "the boundary of part 0 does not end its line"),
            ("b", &format!("--b\r\n{head}\r\n\r\n1\n--b--"), "no boundary ends part 0"),
            ("b", &format!("--b\r\n{head}\r\n\r\n1\r\n--b\r\n{head}\r\n\r\n2"), "no boundary ends part 1"),
            ("b", "--b\r\n\r\n1\r\n--b--", "part 0 has no `content-disposition` with a `name`"),
            ("b", "--b\r\nx: y\r\n\r\n\r\n--b--", "part 0 has no `content-disposition` with a `name`"),
        ] {
            assert_eq!(form(boundary, body.as_bytes()), Err(format!("the form cannot be read: {told}")), "{body}");
        }
        let odd = form("b", b"--b\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n\r\n--b--").unwrap_err();
        assert!(odd.ends_with("the head of part 0 is not UTF-8"), "{odd}");
    }

    #[test]
    fn no_cut_of_a_form_is_a_form() {
        let whole = b"--b\r\nContent-Disposition: form-data; name=a; filename=\"f\"\r\n\r\n1\r\n--b--";
        assert!(form("b", whole).is_ok());
        for cut in 0..whole.len() {
            assert!(form("b", &whole[..cut]).is_err(), "{cut}");
        }
    }
}
