//! Turns a flagged card transaction into a risk report: rules with weights on amount, velocity, geography, merchant, device
//! and hour, one score, its level, the reasons, and what to do.

mod rules;

use flowgate::{Reply, Result, Trigger, log, output};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::rules::Finding;

#[derive(Deserialize)]
struct Input {
    transaction: Transaction,
    account: Account,
    /// What the account did before, in any order.
    #[serde(default)]
    history: Vec<Past>,
}

#[derive(Deserialize)]
struct Transaction {
    id: String,
    at: Timestamp,
    /// In the smallest unit of the currency.
    amount_minor: u64,
    currency: String,
    merchant: Merchant,
    #[serde(default)]
    card_present: bool,
    device: Option<Device>,
    place: Option<Place>,
}

#[derive(Deserialize)]
struct Merchant {
    name: String,
    /// ISO 18245 merchant category code, four digits.
    category: String,
    /// ISO 3166.
    country: String,
}

#[derive(Deserialize)]
struct Device {
    #[serde(default)]
    known: bool,
    ip_country: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
struct Place {
    latitude: f64,
    longitude: f64,
}

#[derive(Deserialize)]
struct Account {
    id: String,
    /// ISO 3166.
    country: String,
    /// Minutes east of UTC, for the customer's own clock.
    #[serde(default)]
    utc_offset_minutes: i32,
    /// What the customer usually spends at once, in the same unit.
    typical_amount_minor: u64,
    opened_at: Timestamp,
}

#[derive(Deserialize)]
struct Past {
    at: Timestamp,
    amount_minor: u64,
    #[serde(default)]
    declined: bool,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Approve,
    AskCustomer,
    HoldForReview,
    BlockCard,
}

#[derive(Serialize)]
struct Report {
    transaction: String,
    account: String,
    amount_minor: u64,
    currency: String,
    score: u32,
    level: Level,
    action: Action,
    findings: Vec<Finding>,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    output::progress(Some(10), "applying the rules")?;
    let findings = rules::apply(&input);
    let score = score(&findings);
    let (level, action) = verdict(score, &findings);
    log::info!("{} scores {score}", input.transaction.id);
    let text = text(&input, score, level, action, &findings);
    let Transaction { id, amount_minor, currency, .. } = input.transaction;
    let report =
        Report { transaction: id, account: input.account.id, amount_minor, currency, score, level, action, findings };
    Ok(Reply::json(&report)?.with_text(text))
}

/// 0 to 100. Each finding takes its share of the doubt that the others leave, so many small ones do not add up to certainty.
fn score(findings: &[Finding]) -> u32 {
    let innocent: f64 = findings.iter().map(|finding| 1.0 - f64::from(finding.weight) / 100.0).product();
    ((1.0 - innocent) * 100.0).round() as u32
}

fn verdict(score: u32, findings: &[Finding]) -> (Level, Action) {
    let decisive = findings.iter().any(|finding| finding.rule == "impossible_travel");
    match score {
        85.. => (Level::Critical, Action::BlockCard),
        65.. => (Level::High, Action::HoldForReview),
        _ if decisive => (Level::High, Action::HoldForReview),
        35.. => (Level::Medium, Action::AskCustomer),
        _ => (Level::Low, Action::Approve),
    }
}

fn text(input: &Input, score: u32, level: Level, action: Action, findings: &[Finding]) -> String {
    let Transaction { id, merchant, .. } = &input.transaction;
    let advice = match action {
        Action::Approve => "approve it",
        Action::AskCustomer => "ask the customer to confirm it",
        Action::HoldForReview => "hold it until somebody has looked at it",
        Action::BlockCard => "decline it and block the card",
    };
    let level = format!("{level:?}").to_lowercase();
    let mut text = format!("Transaction {id} at {}: {level} risk, {score} of 100; {advice}.", merchant.name);
    for finding in findings {
        text.push_str(&format!("\n- {} ({})", finding.reason, finding.weight));
    }
    text
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::{Failure, testing};
    use serde_json::{Value, json};

    use super::*;

    fn report(data: &Value) -> Value {
        let reply = testing::run(handle, testing::trigger().with_data(&data.to_string())).unwrap();
        serde_json::from_str(&reply.data.unwrap()).unwrap()
    }

    fn ordinary() -> Value {
        json!({
            "transaction": {
                "id": "txn_1", "at": "2026-03-04T12:00:00Z", "amount_minor": 4200, "currency": "EUR", "card_present": true,
                "merchant": { "name": "Baker", "category": "5411", "country": "DE" }
            },
            "account": { "id": "acct_1", "country": "DE", "typical_amount_minor": 5000, "opened_at": "2020-01-01T00:00:00Z" }
        })
    }

    #[test]
    fn an_ordinary_purchase_is_approved() {
        let report = report(&ordinary());
        assert_eq!((report["score"].as_u64(), report["action"].as_str()), (Some(0), Some("approve")));
    }

    #[test]
    fn more_findings_never_lower_the_score() {
        let mut data = ordinary();
        let mut last = 0;
        for (pointer, value) in [
            ("/transaction/amount_minor", json!(60_000)),
            ("/transaction/merchant/category", json!("7995")),
            ("/transaction/merchant/country", json!("PA")),
            ("/transaction/at", json!("2026-03-04T03:00:00Z")),
        ] {
            *data.pointer_mut(pointer).unwrap() = value;
            let score = report(&data)["score"].as_u64().unwrap();
            assert!(score > last && score <= 100, "{pointer}: {score} after {last}");
            last = score;
        }
    }

    #[test]
    fn impossible_travel_is_held_even_when_all_else_is_fine() {
        let mut data = ordinary();
        data["transaction"]["place"] = json!({ "latitude": 52.5, "longitude": 13.4 });
        let tokyo = json!({ "latitude": 35.7, "longitude": 139.7 });
        data["history"] = json!([{ "at": "2026-03-04T10:00:00Z", "amount_minor": 900, "place": tokyo }]);
        let report = report(&data);
        assert_eq!(report["findings"][0]["rule"], "impossible_travel");
        assert_eq!(report["action"], "hold_for_review");
    }

    #[test]
    fn a_missing_amount_is_named() {
        let mut data = ordinary();
        data["transaction"].as_object_mut().unwrap().remove("amount_minor");
        let result = testing::run(handle, testing::trigger().with_data(&data.to_string()));
        assert_eq!(result, Err(Failure::missing("transaction.amount_minor", "non-negative integer")));
    }

    #[test]
    fn the_saved_request_is_critical() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        let report: Value = serde_json::from_str(&reply.data.unwrap()).unwrap();
        assert_eq!((report["level"].as_str(), report["action"].as_str()), (Some("critical"), Some("block_card")));
    }
}
