//! The components of a message that an HTTP message signature covers, and the bytes that they are signed as.
//!
//! Source: RFC 9421 §2 (2024).

use std::borrow::Cow;

use http::HeaderName;
use sfv::{FieldType as _, InnerList, Item, ListEntry};
use url::Url;
use url::form_urlencoded::{byte_serialize, parse};

use super::{Message, Refusal};

/// What a JSON entry may name, for messages.
pub(super) const ALLOWED: &str = "a list of header names in lower case and of `@method`, `@target-uri`, `@authority`, \
                                  `@scheme`, `@request-target`, `@path` and `@query`";

/// Each costs a look through the headers.
const COMPONENTS_MAX: usize = 64;
/// How much of a component's name a refusal repeats.
const NAME_CHARS_SHOWN: usize = 64;

const DERIVED: [&str; 7] = ["@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"];

/// Whether a text names a component that has no parameters.
pub(super) fn is_name(text: &str) -> bool {
    let header = || text.parse::<HeaderName>().is_ok_and(|name| name.as_str() == text);
    DERIVED.contains(&text) || header()
}

/// Whether a component is covered, without parameters.
pub(super) fn covers(list: &InnerList, name: &str) -> bool {
    list.items.iter().any(|item| name_of(item) == Some(name) && item.params.is_empty())
}

/// The signature base (§2.5): a line for each component, and one for the list itself.
pub(super) fn base(list: &InnerList, message: &Message<'_>) -> Result<String, Refusal> {
    if list.items.len() > COMPONENTS_MAX {
        return Err(Refusal::TooManyComponents { count: list.items.len(), most: COMPONENTS_MAX });
    }
    let target = message.public_url.and_then(Target::of);
    let mut base = String::new();
    for (index, item) in list.items.iter().enumerate() {
        let id = item.serialize();
        let wrong = || Refusal::BadComponent(id.chars().take(NAME_CHARS_SHOWN).collect());
        let value = value(item, message, target.as_ref())?.ok_or_else(wrong)?;
        // A value must not be able to end its line.
        let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
        if !plain || list.items[..index].contains(item) {
            return Err(wrong());
        }
        base.push_str(&format!("{id}: {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {}", text(list)));
    Ok(base)
}

/// The list as it stands in `Signature-Input`.
pub(super) fn text(list: &InnerList) -> String {
    vec![ListEntry::InnerList(list.clone())].serialize().unwrap_or_default()
}

/// The URL that the sender was told, in pieces. Its text is kept, since senders sign what they wrote; only the authority
/// has a normal form (§2.2.3).
struct Target<'a> {
    scheme: String,
    authority: String,
    path: &'a str,
    query: &'a str,
}

impl<'a> Target<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?;
        let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let (_, rest) = text.split_once("://")?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let rest = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Some(Self { scheme: url.scheme().to_owned(), authority, path, query })
    }
}

fn name_of(item: &Item) -> Option<&str> {
    item.bare_item.as_string().map(sfv::StringRef::as_str)
}

/// The value of a component; none where it is of no kind that is known here.
fn value<'a>(item: &Item, message: &Message<'a>, target: Option<&Target<'a>>) -> Result<Option<Cow<'a, str>>, Refusal> {
    let Some(name) = name_of(item) else { return Ok(None) };
    if name == "@query-param" {
        return Ok(query_param(item, message.query).map(Cow::Owned));
    }
    if !item.params.is_empty() {
        return Ok(None);
    }
    let told = || target.ok_or(Refusal::NoPublicUrl);
    let path = target.map_or(message.path, |target| target.path);
    // The query that came is the one that is used; the configured URL has the same or none.
    let query = message.query;
    let asked = if query.is_empty() { String::new() } else { format!("?{query}") };
    Ok(Some(match name {
        "@method" => Cow::Borrowed(message.method),
        "@path" => Cow::Borrowed(path),
        "@query" => Cow::Owned(format!("?{query}")),
        "@request-target" => Cow::Owned(format!("{path}{asked}")),
        "@authority" => Cow::Owned(told()?.authority.clone()),
        "@scheme" => Cow::Owned(told()?.scheme.clone()),
        "@target-uri" => {
            let Target { scheme, authority, path, query } = told()?;
            Cow::Owned(format!("{scheme}://{authority}{path}{query}"))
        }
        _ => match name.parse::<HeaderName>() {
            Ok(header) if header.as_str() == name => field(message, &header)?,
            _ => return Ok(None),
        },
    }))
}

/// All lines of a header as one (§2.1).
fn field<'a>(message: &Message<'a>, name: &HeaderName) -> Result<Cow<'a, str>, Refusal> {
    let lines = message.headers.get_all(name).iter().map(|value| value.to_str().map(str::trim));
    let lines = lines.collect::<Result<Vec<_>, _>>().map_err(|_| Refusal::HeaderNotText(name.to_string()))?;
    match lines[..] {
        [] => Err(Refusal::MissingHeader(name.to_string())),
        [line] => Ok(Cow::Borrowed(line)),
        _ => Ok(Cow::Owned(lines.join(", "))),
    }
}

/// The value of the query parameter that the component's `name` means, which must be there once (§2.2.8).
fn query_param(item: &Item, query: &str) -> Option<String> {
    let wanted = item.params.get("name").filter(|_| item.params.len() == 1)?.as_string()?.as_str();
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    let mut values = parse(query.as_bytes()).filter(|(name, _)| encode(name) == wanted).map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then(|| encode(&value))
}
