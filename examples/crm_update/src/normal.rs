//! One form for each kind of field, so that equal values compare equal.

use serde_json::Value;

/// Calling codes of the countries that our clients live in, by name and by ISO 3166 code.
const CALLING_CODES: [(&[&str], &str); 9] = [
    (&["at", "austria"], "43"),
    (&["ch", "switzerland"], "41"),
    (&["de", "germany"], "49"),
    (&["es", "spain"], "34"),
    (&["fr", "france"], "33"),
    (&["gb", "uk", "united kingdom"], "44"),
    (&["in", "india"], "91"),
    (&["nl", "netherlands"], "31"),
    (&["us", "usa", "united states", "ca", "canada"], "1"),
];

/// The value in its form; `Err` holds the value as it came, when it is not what the field's name promises.
pub(crate) fn field(name: &str, value: &Value, country: &str) -> Result<Value, Value> {
    let Some(text) = value.as_str() else { return Ok(value.clone()) };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let normal = match name {
        "Email" => email(&text),
        "Phone" | "MobilePhone" | "HomePhone" | "Fax" => phone(&text, country),
        _ => Some(text.clone()),
    };
    normal.map(Value::String).ok_or(Value::String(text))
}

/// E.164: a plus and 8 to 15 digits.
fn phone(text: &str, country: &str) -> Option<String> {
    let text = text.replace("(0)", "");
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if text.chars().any(|c| !c.is_ascii_digit() && !" +-/().".contains(c)) {
        return None;
    }
    let international = match () {
        () if text.starts_with('+') => digits,
        () if digits.starts_with("00") => digits[2..].to_owned(),
        () => {
            let code = calling_code(country)?;
            let national = digits.strip_prefix('0').unwrap_or(&digits);
            let national = if code == "1" && digits.len() == 11 { &digits[1..] } else { national };
            format!("{code}{national}")
        }
    };
    (8..=15).contains(&international.len()).then(|| format!("+{international}"))
}

fn calling_code(country: &str) -> Option<&'static str> {
    let country = country.trim().to_lowercase();
    CALLING_CODES.iter().find(|(names, _)| names.contains(&country.as_str())).map(|(_, code)| *code)
}

fn email(text: &str) -> Option<String> {
    let lower = text.trim_start_matches("mailto:").to_lowercase();
    let (local, domain) = lower.split_once('@')?;
    let well_formed = !local.is_empty() && domain.contains('.') && !domain.starts_with('.') && !domain.ends_with('.');
    (well_formed && !domain.contains('@') && !lower.contains(' ')).then_some(lower)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn phones_take_the_countrys_code() {
        for (text, country, normal) in [
            ("(030) 1234 5678", "Germany", "+493012345678"),
            ("+49 (0)30 12345678", "", "+493012345678"),
            ("0044 20 7946 0958", "", "+442079460958"),
            ("1-212-555-0142", "US", "+12125550142"),
            ("212.555.0142", "usa", "+12125550142"),
        ] {
            assert_eq!(field("Phone", &json!(text), country), Ok(json!(normal)), "{text}");
        }
    }

    #[test]
    fn what_is_no_phone_or_address_is_kept_and_marked() {
        assert_eq!(field("Phone", &json!("ask  Bob"), "US"), Err(json!("ask Bob")));
        assert_eq!(field("Phone", &json!("030 123456"), "Atlantis"), Err(json!("030 123456")));
        assert_eq!(field("Email", &json!("ada@home"), ""), Err(json!("ada@home")));
    }

    #[test]
    fn blanks_are_nothing() {
        assert_eq!(field("MailingCity", &json!("   "), ""), Ok(Value::Null));
    }
}
