//! How settings that give access are written out: `flowgate config print` goes into tickets and chats.

use serde::Serializer;
use url::Url;

/// Stands for what is not shown.
const MASK: &str = "***";

/// A URL without name and password.
pub(super) fn user<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&url(text, |_| {}))
}

/// A URL without name, password and query, which is where tokens are.
pub(super) fn user_and_query<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let query = |url: &mut Url| {
        if url.query().is_some() {
            url.set_query(Some(MASK));
        }
    };
    serializer.serialize_str(&url(text, query))
}

/// Nothing but whether there is something.
pub(super) fn whole<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if text.is_empty() { "" } else { MASK })
}

fn url(text: &str, more: impl FnOnce(&mut Url)) -> String {
    if text.is_empty() {
        return String::new();
    }
    // What is no URL may be anything.
    let Ok(mut url) = Url::parse(text) else { return MASK.to_owned() };
    if !url.username().is_empty() || url.password().is_some() {
        // A URL without a host has no name either.
        let _ = url.set_password(None).and_then(|()| url.set_username(MASK));
    }
    more(&mut url);
    url.into()
}
