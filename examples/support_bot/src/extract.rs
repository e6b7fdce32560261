//! Finds what a message tells: an order number, an e-mail address.

/// `#48213`, `order 48213`, `order number A-7731`: a token with at least four digits, marked as an order.
pub(crate) fn order(message: &str) -> Option<String> {
    let mut marked = false;
    for token in message.split_whitespace() {
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric() && c != '#');
        let number = bare.trim_start_matches('#');
        if (marked || bare.starts_with('#')) && is_number(number) {
            return Some(number.to_ascii_uppercase());
        }
        let word = bare.to_lowercase();
        marked = word == "order" || marked && ["number", "no", "nr", "id", "is"].contains(&word.as_str());
    }
    // The answer to "What is your order number?" is often the number alone.
    let alone = message.trim().trim_end_matches('.');
    is_number(alone).then(|| alone.to_ascii_uppercase())
}

pub(crate) fn email(message: &str) -> Option<String> {
    let tokens = message.split(|c: char| c.is_whitespace() || ",;<>()\"".contains(c));
    tokens
        .map(|token| token.trim_matches(|c: char| ".:!?".contains(c)))
        .find(|token| is_email(token))
        .map(str::to_lowercase)
}

fn is_number(token: &str) -> bool {
    let digits = token.chars().filter(char::is_ascii_digit).count();
    digits >= 4 && token.len() <= 20 && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn is_email(token: &str) -> bool {
    let Some((local, domain)) = token.split_once('@') else { return false };
    let labels: Vec<_> = domain.split('.').collect();
    !local.is_empty() && labels.len() >= 2 && labels.iter().all(|label| !label.is_empty()) && !domain.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_number_is_found_where_it_is_marked() {
        assert_eq!(order("it is #48213."), Some("48213".to_owned()));
        assert_eq!(order("My order number is a-7731, thanks"), Some("A-7731".to_owned()));
        assert_eq!(order("48213"), Some("48213".to_owned()));
        assert_eq!(order("call me at 5551234567 tomorrow"), None);
        assert_eq!(order("order #12"), None);
    }

    #[test]
    fn an_address_is_found_among_words() {
        assert_eq!(email("Write to <Ada@Example.com>."), Some("ada@example.com".to_owned()));
        assert_eq!(email("meet @noon or ada@home"), None);
    }
}
