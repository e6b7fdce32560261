//! What is signed: a template such as `{timestamp}.{body}`, read once into parts.

use http::HeaderName;

/// One piece of the signed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Header(HeaderName),
    Timestamp,
    Id,
    Method,
    Path,
    Query,
    Url,
    Body,
    /// The fields of a form, sorted by name, each name followed by its value.
    Form,
    /// The member of the JSON body that this pointer names (RFC 6901); nothing when there is none.
    Member(String),
}

/// What a template may hold, for messages.
pub(super) const ALLOWED: &str = "literal text, `{body}`, `{timestamp}`, `{id}`, `{method}`, `{path}`, `{query}`, \
                                  `{url}`, `{header:name}`, `{form}` and `{json:/pointer}`, with `{body}`, `{form}` or \
                                  `{json:…}` at least once";

/// Reads a template; none when it is not one.
pub(super) fn parse(template: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let (part, after) = next(rest)?;
        parts.push(part);
        rest = after;
    }
    parts.iter().any(|part| matches!(part, Part::Body | Part::Form | Part::Member(_))).then_some(parts)
}

fn next(rest: &str) -> Option<(Part, &str)> {
    if let Some(field) = rest.strip_prefix('{') {
        let (name, after) = field.split_once('}')?;
        return Some((named(name)?, after));
    }
    let end = rest.find('{').unwrap_or(rest.len());
    let (literal, after) = rest.split_at(end);
    (!literal.contains('}')).then(|| (Part::Literal(literal.to_owned()), after))
}

fn named(name: &str) -> Option<Part> {
    Some(match name {
        "body" => Part::Body,
        "form" => Part::Form,
        "timestamp" => Part::Timestamp,
        "id" => Part::Id,
        "method" => Part::Method,
        "path" => Part::Path,
        "query" => Part::Query,
        "url" => Part::Url,
        _ => match name.strip_prefix("json:") {
            Some(pointer) => pointer.starts_with('/').then(|| Part::Member(pointer.to_owned()))?,
            None => Part::Header(name.strip_prefix("header:")?.parse().ok()?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_become_parts() {
        let parts = [Part::Literal("v0:".into()), Part::Timestamp, Part::Literal(":".into()), Part::Body];
        assert_eq!(parse("v0:{timestamp}:{body}").unwrap(), parts);
        let date = Part::Header(http::header::DATE);
        assert_eq!(parse("{body}{header:Date}").unwrap(), [Part::Body, date]);
        assert_eq!(parse("{url}{form}").unwrap(), [Part::Url, Part::Form]);
        assert_eq!(parse("{json:/a/b}").unwrap(), [Part::Member("/a/b".into())]);
    }

    #[test]
    fn what_is_not_a_template_is_refused() {
        for wrong in [
            "",
            "{timestamp}",
            "{body",
            "body}",
            "{Body}",
            "{body}{nonce}",
            "{body}{header:a b}",
            "{body}{}",
            "{json:a}",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
