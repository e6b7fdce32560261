//! Parameters of a query string, by their decoded names.

use url::form_urlencoded::parse;

use super::Refusal;

/// The query without the parameters of these names. The rest keeps its order and its spelling.
///
/// Names are compared after decoding: `api%4Bey=…` is the parameter `apiKey`.
pub fn strip_query(query: &str, names: &[String]) -> String {
    let kept = |pair: &&str| !parse(pair.as_bytes()).any(|(name, _)| names.iter().any(|unwanted| *unwanted == name));
    query.split('&').filter(kept).collect::<Vec<_>>().join("&")
}

/// The decoded value of the parameter called `name`, which must be there once and not be empty.
pub(super) fn only(query: &str, name: &str) -> Result<String, Refusal> {
    let mut values = parse(query.as_bytes()).filter(|(found, _)| found == name).map(|(_, value)| value);
    let value = values.next().ok_or_else(|| Refusal::MissingParameter(name.to_owned()))?;
    match values.next() {
        Some(_) => Err(Refusal::RepeatedParameter(name.to_owned())),
        None if value.is_empty() => Err(Refusal::MissingParameter(name.to_owned())),
        None => Ok(value.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_removed_by_their_decoded_name() {
        let names = ["apiKey".to_owned(), "token".to_owned()];
        for (query, left) in [
            ("apiKey=a&b=%20c&b=d", "b=%20c&b=d"),
            ("b=1&api%4bey=a", "b=1"),
            ("apikey=kept", "apikey=kept"),
            ("token", ""),
            ("token=1&token=2&&x", "&x"),
            ("", ""),
        ] {
            assert_eq!(strip_query(query, &names), left, "{query}");
        }
    }

    #[test]
    fn a_credential_comes_once() {
        assert_eq!(only("a=1&api%4bey=k%2B1", "apiKey").unwrap(), "k+1");
        assert_eq!(only("apiKey=a&apiKey=b", "apiKey"), Err(Refusal::RepeatedParameter("apiKey".into())));
        assert_eq!(only("apiKey=", "apiKey"), Err(Refusal::MissingParameter("apiKey".into())));
        assert_eq!(only("", "apiKey"), Err(Refusal::MissingParameter("apiKey".into())));
    }
}
