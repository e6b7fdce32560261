//! The rules: each looks at the whole case and may find something. Adding one is one function and one line in [`RULES`].

use jiff::SignedDuration;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;

use crate::{Input, Past, Place};

/// Faster than an airliner, airport to airport.
const KM_PER_HOUR_MAX: f64 = 900.0;
/// Two cities' terminals may well be this far from where the network thinks they are.
const KM_IGNORED: f64 = 100.0;
const EARTH_RADIUS_KM: f64 = 6371.0;

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    /// How sure this alone makes us, 0 to 100.
    pub(crate) weight: u32,
    pub(crate) reason: String,
}

type Rule = fn(&Input) -> Option<(u32, String)>;

const RULES: [(&str, Rule); 10] = [
    ("impossible_travel", impossible_travel),
    ("amount", amount),
    ("velocity", velocity),
    ("card_testing", card_testing),
    ("merchant_category", merchant_category),
    ("foreign_country", foreign_country),
    ("device", device),
    ("hour", hour),
    ("new_account", new_account),
    ("round_amount", round_amount),
];

/// All findings, the heaviest first.
pub(crate) fn apply(input: &Input) -> Vec<Finding> {
    let found =
        RULES.iter().filter_map(|(rule, look)| look(input).map(|(weight, reason)| Finding { rule, weight, reason }));
    let mut findings: Vec<_> = found.collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    findings
}

fn impossible_travel(input: &Input) -> Option<(u32, String)> {
    let here = input.transaction.place?;
    let (past, there) = input
        .history
        .iter()
        .filter(|past| past.at <= input.transaction.at)
        .filter_map(|past| Some((past, past.place?)))
        .max_by_key(|(past, _)| past.at)?;
    let km = distance_km(here, there);
    let hours = ago(input, past).as_secs_f64() / 3600.0;
    let too_fast = km > KM_IGNORED && km > hours * KM_PER_HOUR_MAX;
    too_fast.then(|| (60, format!("{km:.0} km from the last purchase, {:.0} minutes ago", hours * 60.0)))
}

fn amount(input: &Input) -> Option<(u32, String)> {
    let ratio = input.transaction.amount_minor as f64 / input.account.typical_amount_minor.max(1) as f64;
    let weight = match ratio {
        20.0.. => 45,
        8.0.. => 30,
        3.0.. => 15,
        _ => return None,
    };
    Some((weight, format!("{ratio:.0} times what the customer usually spends")))
}

fn velocity(input: &Input) -> Option<(u32, String)> {
    let count = recent(input, SignedDuration::from_hours(1)).count();
    let weight = match count {
        10.. => 45,
        5.. => 30,
        3.. => 15,
        _ => return None,
    };
    Some((weight, format!("{count} other attempts within the hour before")))
}

/// Thieves try a card with small sums, mostly declined, before the large one.
fn card_testing(input: &Input) -> Option<(u32, String)> {
    let small = input.transaction.amount_minor / 20;
    let tries = recent(input, SignedDuration::from_hours(24))
        .filter(|past| past.declined && past.amount_minor <= small)
        .count();
    (tries >= 2).then(|| (40, format!("{tries} small attempts were declined within the day before")))
}

fn merchant_category(input: &Input) -> Option<(u32, String)> {
    let (weight, what) = match input.transaction.merchant.category.as_str() {
        "7995" | "7800" | "7801" | "7802" => (30, "gambling"),
        "6051" => (30, "crypto-currency or quasi-cash"),
        "4829" | "6540" => (25, "money transfer or stored value"),
        "5967" => (20, "telemarketing"),
        "5944" | "5732" => (10, "goods that are easy to sell on"),
        _ => return None,
    };
    Some((weight, format!("the merchant deals in {what}")))
}

fn foreign_country(input: &Input) -> Option<(u32, String)> {
    let (merchant, home) = (&input.transaction.merchant.country, &input.account.country);
    let weight = if input.transaction.card_present { 8 } else { 18 };
    (merchant != home).then(|| (weight, format!("the merchant is in {merchant}, the customer lives in {home}")))
}

fn device(input: &Input) -> Option<(u32, String)> {
    let device = input.transaction.device.as_ref()?;
    let abroad = device.ip_country.as_ref().filter(|country| **country != input.account.country);
    match (device.known, abroad) {
        (false, Some(country)) => Some((30, format!("an unknown device in {country}"))),
        (false, None) => Some((15, "an unknown device".to_owned())),
        (true, Some(country)) => Some((8, format!("a known device, but in {country}"))),
        (true, None) => None,
    }
}

fn hour(input: &Input) -> Option<(u32, String)> {
    let offset = Offset::from_seconds(input.account.utc_offset_minutes.checked_mul(60)?).ok()?;
    let local = input.transaction.at.to_zoned(TimeZone::fixed(offset));
    (1..5)
        .contains(&local.hour())
        .then(|| (10, format!("it is {:02}:{:02} where the customer lives", local.hour(), local.minute())))
}

fn new_account(input: &Input) -> Option<(u32, String)> {
    let days = input.transaction.at.duration_since(input.account.opened_at).as_hours() / 24;
    (days < 30).then(|| (15, format!("the account is {} days old", days.max(0))))
}

fn round_amount(input: &Input) -> Option<(u32, String)> {
    let amount = input.transaction.amount_minor;
    (amount >= 50_000 && amount.is_multiple_of(10_000)).then(|| (5, "a large round amount".to_owned()))
}

fn ago(input: &Input, past: &Past) -> SignedDuration {
    input.transaction.at.duration_since(past.at)
}

fn recent(input: &Input, window: SignedDuration) -> impl Iterator<Item = &Past> {
    input.history.iter().filter(move |past| (SignedDuration::ZERO..=window).contains(&ago(input, past)))
}

/// Along the great circle, by the haversine formula.
fn distance_km(a: Place, b: Place) -> f64 {
    let (a_latitude, b_latitude) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let chord = half(a_latitude, b_latitude)
        + a_latitude.cos() * b_latitude.cos() * half(a.longitude.to_radians(), b.longitude.to_radians());
    2.0 * EARTH_RADIUS_KM * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_from_berlin_to_paris_is_right() {
        let (berlin, paris) =
            (Place { latitude: 52.52, longitude: 13.405 }, Place { latitude: 48.857, longitude: 2.352 });
        assert!((distance_km(berlin, paris) - 878.0).abs() < 3.0);
        assert!(distance_km(paris, paris).abs() < 0.001);
    }
}
