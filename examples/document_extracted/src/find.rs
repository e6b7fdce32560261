//! Finds amounts, dates and parties in running text.

use serde::Serialize;

const FOUND_MAX: usize = 20;
const CURRENCIES: [(&str, &str); 8] = [
    ("€", "EUR"),
    ("$", "USD"),
    ("£", "GBP"),
    ("EUR", "EUR"),
    ("USD", "USD"),
    ("GBP", "GBP"),
    ("CHF", "CHF"),
    ("INR", "INR"),
];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const ROLES: [&str; 9] =
    ["bill to", "sold to", "from", "seller", "buyer", "landlord", "tenant", "employer", "account holder"];

/// A sum of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    /// As it stands in the document.
    pub(crate) text: String,
    currency: &'static str,
    /// With a decimal point and no other mark.
    value: String,
    /// What stands before it on its line.
    label: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Date {
    text: String,
    iso: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Party {
    role: String,
    pub(crate) name: String,
}

/// Numbers that stand beside a currency, in order.
pub(crate) fn amounts(text: &str) -> Vec<Amount> {
    text.lines().flat_map(line_amounts).take(FOUND_MAX).collect()
}

/// What is to be paid: the amount whose line speaks of a total, the last of them; otherwise none is known.
pub(crate) fn total(amounts: &[Amount]) -> Option<Amount> {
    let is_total = |amount: &&Amount| {
        let label = amount.label.to_lowercase();
        !label.contains("subtotal")
            && ["total", "amount due", "balance due", "closing balance", "net pay"]
                .iter()
                .any(|word| label.contains(word))
    };
    amounts.iter().rfind(is_total).cloned()
}

fn line_amounts(line: &str) -> Vec<Amount> {
    let tokens: Vec<&str> = line.split_whitespace().collect();
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let token = token.trim_end_matches([',', ';', '.', ')']).trim_start_matches('(');
        let glued = CURRENCIES
            .iter()
            .find_map(|(mark, code)| Some((*code, token.strip_prefix(mark).or(token.strip_suffix(mark))?)));
        let beside = |at: Option<usize>| {
            let mark = tokens.get(at?)?.trim_matches(|c: char| c == ':' || c == ',' || c == '.');
            CURRENCIES.iter().find(|(name, _)| *name == mark).map(|(_, code)| (mark, *code))
        };
        let (currency, number, text) = match (glued, beside(index.checked_sub(1)), beside(Some(index + 1))) {
            (Some((code, number)), _, _) => (code, number, token.to_owned()),
            (None, Some((mark, code)), _) => (code, token, format!("{mark} {token}")),
            (None, None, Some((mark, code))) => (code, token, format!("{token} {mark}")),
            (None, None, None) => continue,
        };
        if let Some(value) = decimal(number) {
            let label = tokens[..index].iter().filter(|word| !CURRENCIES.iter().any(|(mark, _)| mark == *word));
            let label = label.copied().collect::<Vec<_>>().join(" ").trim_end_matches(':').to_owned();
            found.push(Amount { text, currency, value, label });
        }
    }
    found
}

/// `1,234.50`, `1.234,50` and `1234.5` as `1234.50`: the last mark with one or two digits after it is the decimal one.
fn decimal(text: &str) -> Option<String> {
    if !text.starts_with(|c: char| c.is_ascii_digit())
        || text.chars().any(|c| !c.is_ascii_digit() && c != '.' && c != ',')
    {
        return None;
    }
    let (whole, cents) = match text.rfind(['.', ',']) {
        Some(at) if (1..=2).contains(&(text.len() - at - 1)) => (&text[..at], &text[at + 1..]),
        _ => (text, ""),
    };
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    Some(format!("{whole}.{cents:0<2}"))
}

/// Dates as `2026-03-04`, `4 March 2026`, `March 4, 2026` and `04.03.2026`. `03/04/2026` may be two days and is left out
/// unless one of its numbers can only be a day.
pub(crate) fn dates(text: &str) -> Vec<Date> {
    let tokens: Vec<&str> =
        text.split_whitespace().map(|token| token.trim_matches(|c: char| !c.is_alphanumeric())).collect();
    let mut found: Vec<Date> = Vec::new();
    for index in 0..tokens.len() {
        let alone = numeric(tokens[index]).map(|iso| (iso, tokens[index].to_owned()));
        let spelled = || tokens.get(index..index + 3).and_then(|three| Some((worded(three)?, three.join(" "))));
        if let Some((iso, text)) = alone.or_else(spelled).filter(|(iso, _)| found.iter().all(|date| date.iso != *iso)) {
            found.push(Date { text, iso });
        }
    }
    found.truncate(FOUND_MAX);
    found
}

fn numeric(token: &str) -> Option<String> {
    let mark = token.chars().find(|c| !c.is_ascii_digit())?;
    let parts: Vec<u32> = token.split(mark).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [first, second, third] = parts[..] else { return None };
    match mark {
        '-' => iso(first, second, third),
        '.' => iso(third, second, first),
        '/' if first > 999 => iso(first, second, third),
        '/' if first > 12 || first == second => iso(third, second, first),
        '/' if second > 12 => iso(third, first, second),
        _ => None,
    }
}

fn worded(three: &[&str]) -> Option<String> {
    let number = |text: &str| text.trim_end_matches(|c: char| c.is_ascii_lowercase()).parse::<u32>().ok();
    let month = |text: &str| {
        let lower = text.to_lowercase();
        MONTHS.iter().position(|name| lower.starts_with(name)).map(|at| at as u32 + 1)
    };
    let year = number(three[2])?;
    match (number(three[0]), number(three[1])) {
        (Some(day), None) => iso(year, month(three[1])?, day),
        (None, Some(day)) => iso(year, month(three[0])?, day),
        _ => None,
    }
}

fn iso(year: u32, month: u32, day: u32) -> Option<String> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    ((1900..2200).contains(&year) && (1..=days).contains(&day)).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// `Bill to: Name` lines, and the two sides of `between A and B`.
pub(crate) fn parties(text: &str) -> Vec<Party> {
    let mut parties = Vec::new();
    for line in text.lines() {
        let Some((role, name)) = line.split_once(':') else { continue };
        let (role, name) = (role.trim().to_lowercase(), name.trim());
        if ROLES.contains(&role.as_str()) && name.chars().filter(|c| c.is_alphabetic()).count() > 1 {
            parties.push(Party { role, name: name.to_owned() });
        }
    }
    if parties.is_empty() {
        parties = between(text).unwrap_or_default();
    }
    parties.truncate(FOUND_MAX);
    parties
}

fn between(text: &str) -> Option<Vec<Party>> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, rest) = text.split_once(" between ")?;
    let (first, rest) = rest.split_once(" and ")?;
    let end = rest.find(['(', ';', '.', '\n']).or_else(|| rest.find(',')).unwrap_or(rest.len());
    let name = |name: &str| name.split(['(', ',']).next().unwrap_or_default().trim().trim_matches('"').to_owned();
    let parties = [first, &rest[..end]].map(|side| Party { role: "party".to_owned(), name: name(side) });
    parties.iter().all(|party| (2..=80).contains(&party.name.len())).then(|| parties.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_every_notation_are_one_value() {
        for text in ["Total: EUR 1,234.50", "Total 1.234,50 EUR", "Total: €1234.5", "Total (1,234.50€)"] {
            assert_eq!(amounts(text).first().map(|amount| amount.value.as_str()), Some("1234.50"), "{text}");
        }
        assert_eq!(amounts("Order 12345 of 3 lamps"), []);
    }

    #[test]
    fn the_total_is_not_the_subtotal() {
        let found = amounts("Subtotal EUR 100.00\nVAT EUR 19.00\nTotal due: EUR 119.00\nSkonto: EUR 2.00");
        assert_eq!(total(&found).unwrap().value, "119.00");
        assert_eq!(total(&amounts("Fee EUR 5.00")), None);
    }

    #[test]
    fn dates_are_found_and_the_doubtful_left_out() {
        let text = "On 4 March 2026, March 5, 2026, 06.03.2026 and 2026-03-07; 03/04/2026; 12/31/2026; 30.02.2026.";
        let iso: Vec<_> = dates(text).into_iter().map(|date| date.iso).collect();
        assert_eq!(iso, ["2026-03-04", "2026-03-05", "2026-03-06", "2026-03-07", "2026-12-31"]);
    }

    #[test]
    fn the_sides_of_a_contract_are_found() {
        let found = parties("This Agreement is made between Acme Ltd (the \"Supplier\") and Ada Lovelace, London.");
        assert_eq!(found.iter().map(|party| party.name.as_str()).collect::<Vec<_>>(), ["Acme Ltd", "Ada Lovelace"]);
    }
}
