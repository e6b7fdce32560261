//! Keeps an account's balance from payment notifications: exact in minor units, each payment counted once however often it
//! is sent, refunds bounded by what they refund, and no balance below zero.
//!
//! The account's ledger is the session's state, so the sender puts the account's id into `session_id`.

mod money;

use std::collections::BTreeMap;

use flowgate::{Failure, Reply, Result, Trigger, log, session};
use serde::{Deserialize, Serialize};

use crate::money::Currency;

/// How many bookings are remembered for duplicates and refunds; the oldest are forgotten first.
const BOOKINGS_MAX: usize = 500;

#[derive(Deserialize)]
struct Input {
    payment: Payment,
}

#[derive(Deserialize)]
struct Payment {
    id: String,
    #[serde(rename = "type")]
    kind: Kind,
    status: Status,
    /// A decimal text such as `120.50`: a JSON number would pass through binary fractions.
    amount: String,
    currency: String,
    /// For a refund: the payment that it gives back.
    refund_of: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Payment,
    Refund,
    Withdrawal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Succeeded,
    Pending,
    Failed,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Ledger {
    /// Set by the first booking; an account has one currency.
    currency: Option<String>,
    balance_minor: i64,
    sequence: u64,
    bookings: BTreeMap<String, Booking>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Booking {
    kind: Kind,
    amount_minor: i64,
    refunded_minor: i64,
    sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Booked,
    Duplicate,
    Ignored,
    Rejected,
}

#[derive(Debug, Serialize)]
struct Report {
    account: String,
    payment: String,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    balance: String,
    balance_minor: i64,
    currency: String,
}

fn handle(trigger: Trigger) -> Result {
    let account = trigger.session_id()?.to_owned();
    let Input { payment } = trigger.data()?;
    let currency = Currency::parse(&payment.currency)
        .ok_or_else(|| Failure::invalid("payment.currency", "an ISO 4217 code", format!("{:?}", payment.currency)))?;
    let amount = currency.minor(&payment.amount).filter(|minor| *minor > 0).ok_or_else(|| {
        let expected = format!("a positive amount with at most {} decimals", currency.decimals);
        Failure::invalid("payment.amount", expected, format!("{:?}", payment.amount))
    })?;
    let (outcome, reason, balance_minor) = session::update("ledger", |ledger: &mut Ledger| {
        let (outcome, reason) = ledger.book(&payment, amount)?;
        Ok((outcome, reason, ledger.balance_minor))
    })?;
    log::info!("{} {}: {outcome:?}", payment.id, account);
    let balance = currency.text(balance_minor);
    let text = match &reason {
        Some(reason) => {
            format!("{} was not booked: {reason}. The balance of {account} stays at {balance}.", payment.id)
        }
        None if outcome == Outcome::Duplicate => {
            format!("{} was booked before. The balance of {account} is {balance}.", payment.id)
        }
        None => format!("{} is booked. The balance of {account} is {balance}.", payment.id),
    };
    let report =
        Report { account, payment: payment.id, outcome, reason, balance, balance_minor, currency: payment.currency };
    Ok(Reply::json(&report)?.with_text(text))
}

impl Ledger {
    /// Books a payment, or says why not. Only contradictions are failures; a payment that is refused is an answer.
    fn book(&mut self, payment: &Payment, amount: i64) -> Result<(Outcome, Option<String>)> {
        if let Some(known) = self.bookings.get(&payment.id) {
            return match (known.kind, known.amount_minor) == (payment.kind, amount) {
                true => Ok((Outcome::Duplicate, None)),
                false => {
                    Err(Failure::invalid("payment.id", "a new id, or the payment as it was booked", "another payment"))
                }
            };
        }
        if let Some(currency) = self.currency.as_ref().filter(|currency| **currency != payment.currency) {
            return Err(Failure::invalid("payment.currency", currency.as_str(), payment.currency.as_str()));
        }
        if payment.status != Status::Succeeded {
            return Ok((Outcome::Ignored, Some(format!("its status is {:?}", payment.status).to_lowercase())));
        }
        match self.change(payment, amount)? {
            Err(reason) => Ok((Outcome::Rejected, Some(reason))),
            Ok(balance_minor) => {
                self.balance_minor = balance_minor;
                self.currency.get_or_insert_with(|| payment.currency.clone());
                self.remember(payment, amount);
                Ok((Outcome::Booked, None))
            }
        }
    }

    /// The balance after the payment, or the reason why it cannot be.
    fn change(&mut self, payment: &Payment, amount: i64) -> Result<Result<i64, String>> {
        if payment.kind == Kind::Payment {
            let balance = self.balance_minor.checked_add(amount);
            return Ok(balance.ok_or_else(|| "the balance would be too large".to_owned()));
        }
        if amount > self.balance_minor {
            return Ok(Err("the balance is too low".to_owned()));
        }
        if payment.kind == Kind::Refund {
            let of = payment.refund_of.as_ref().ok_or_else(|| Failure::missing("payment.refund_of", "string"))?;
            let Some(original) = self.bookings.get_mut(of).filter(|booking| booking.kind == Kind::Payment) else {
                return Ok(Err(format!("there is no payment {of}")));
            };
            if amount > original.amount_minor - original.refunded_minor {
                return Ok(Err(format!("it is more than is left of {of}")));
            }
            original.refunded_minor += amount;
        }
        Ok(Ok(self.balance_minor - amount))
    }

    fn remember(&mut self, payment: &Payment, amount_minor: i64) {
        self.sequence += 1;
        let booking = Booking { kind: payment.kind, amount_minor, refunded_minor: 0, sequence: self.sequence };
        self.bookings.insert(payment.id.clone(), booking);
        if self.bookings.len() > BOOKINGS_MAX {
            let oldest = self.bookings.iter().min_by_key(|(_, booking)| booking.sequence).map(|(id, _)| id.clone());
            oldest.and_then(|id| self.bookings.remove(&id));
        }
    }
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::testing;
    use serde_json::{Value, json};

    use super::*;

    fn send(payment: &Value) -> Result<Value> {
        let body = json!({ "session_id": "acct_1", "data": { "payment": payment } });
        let reply = testing::run(handle, testing::trigger().with_body(&body.to_string()))?;
        Ok(serde_json::from_str(&reply.data.unwrap()).unwrap())
    }

    fn payment(id: &str, kind: &str, amount: &str) -> Value {
        json!({ "id": id, "type": kind, "status": "succeeded", "amount": amount, "currency": "EUR" })
    }

    fn field(failure: Failure) -> String {
        match failure {
            Failure::InvalidInput(error) => error.field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_payment_is_counted_once() {
        let first = send(&payment("pay_1", "payment", "0.10")).unwrap();
        assert_eq!((first["outcome"].as_str(), first["balance"].as_str()), (Some("booked"), Some("0.10 EUR")));
        send(&payment("pay_2", "payment", "0.20")).unwrap();
        let again = send(&payment("pay_1", "payment", "0.10")).unwrap();
        assert_eq!((again["outcome"].as_str(), again["balance_minor"].as_i64()), (Some("duplicate"), Some(30)));
    }

    #[test]
    fn the_same_id_with_another_amount_is_refused() {
        send(&payment("pay_1", "payment", "10.00")).unwrap();
        assert_eq!(field(send(&payment("pay_1", "payment", "11.00")).unwrap_err()), "payment.id");
    }

    #[test]
    fn a_refund_gives_back_no_more_than_was_paid() {
        send(&payment("pay_1", "payment", "10.00")).unwrap();
        send(&payment("pay_2", "payment", "10.00")).unwrap();
        let mut refund = payment("ref_1", "refund", "6.00");
        refund["refund_of"] = json!("pay_1");
        assert_eq!(send(&refund).unwrap()["balance_minor"], 1400);
        refund["id"] = json!("ref_2");
        assert_eq!(send(&refund).unwrap()["reason"], "it is more than is left of pay_1");
        refund["refund_of"] = json!("pay_9");
        assert_eq!(send(&refund).unwrap()["outcome"], "rejected");
    }

    #[test]
    fn the_balance_does_not_fall_below_zero() {
        send(&payment("pay_1", "payment", "5.00")).unwrap();
        let report = send(&payment("out_1", "withdrawal", "5.01")).unwrap();
        assert_eq!((report["outcome"].as_str(), report["balance_minor"].as_i64()), (Some("rejected"), Some(500)));
        assert_eq!(send(&payment("out_1", "withdrawal", "5.00")).unwrap()["balance_minor"], 0);
    }

    #[test]
    fn an_account_has_one_currency() {
        send(&payment("pay_1", "payment", "5.00")).unwrap();
        let mut other = payment("pay_2", "payment", "5.00");
        other["currency"] = json!("USD");
        assert_eq!(field(send(&other).unwrap_err()), "payment.currency");
    }

    #[test]
    fn what_has_not_succeeded_is_not_booked() {
        let mut pending = payment("pay_1", "payment", "5.00");
        pending["status"] = json!("pending");
        let report = send(&pending).unwrap();
        assert_eq!((report["outcome"].as_str(), report["balance_minor"].as_i64()), (Some("ignored"), Some(0)));
        assert_eq!(send(&payment("pay_1", "payment", "5.00")).unwrap()["outcome"], "booked");
    }

    #[test]
    fn old_bookings_are_forgotten() {
        for number in 0..=BOOKINGS_MAX {
            send(&payment(&format!("pay_{number}"), "payment", "1.00")).unwrap();
        }
        let ledger: Ledger = session::get_json("ledger").unwrap().unwrap();
        assert_eq!(ledger.bookings.len(), BOOKINGS_MAX);
        assert!(!ledger.bookings.contains_key("pay_0"));
    }

    #[test]
    fn a_wrong_amount_is_refused() {
        for amount in ["-1.00", "0", "1.001", "1,00", "1e3", "", "99999999999999999999"] {
            assert_eq!(field(send(&payment("pay_1", "payment", amount)).unwrap_err()), "payment.amount", "{amount}");
        }
    }

    #[test]
    fn the_saved_request_is_booked() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        assert!(reply.text.unwrap().contains("1249.90 EUR"));
    }
}
