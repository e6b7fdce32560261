//! What kind of document a text is, by the phrases that such documents use.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Class {
    Invoice,
    Contract,
    BankStatement,
    Identity,
    Payslip,
    TaxReturn,
    Unknown,
}

impl Class {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Invoice => "an invoice",
            Self::Contract => "a contract",
            Self::BankStatement => "a bank statement",
            Self::Identity => "an identity document",
            Self::Payslip => "a payslip",
            Self::TaxReturn => "a tax return",
            Self::Unknown => "a document of unknown kind",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Score {
    pub(crate) class: Class,
    points: f64,
    /// Of the points of all classes, 0 to 1.
    pub(crate) share: f64,
}

/// A text that collects fewer points is of no kind that we know.
const POINTS_MIN: f64 = 3.0;
/// Said again and again, a phrase tells no more than said so often.
const REPEATS_MAX: usize = 3;

type Phrases = &'static [(&'static str, f64)];

const CLASSES: [(Class, Phrases); 6] = [
    (
        Class::Invoice,
        &[
            ("invoice", 2.0),
            ("bill to", 2.0),
            ("amount due", 2.0),
            ("due date", 1.5),
            ("vat", 1.0),
            ("subtotal", 1.5),
            ("quantity", 1.0),
            ("payment terms", 1.0),
            ("purchase order", 1.0),
        ],
    ),
    (
        Class::Contract,
        &[
            ("agreement", 2.0),
            ("hereinafter", 2.5),
            ("the parties", 2.0),
            ("shall", 0.7),
            ("governing law", 2.0),
            ("termination", 1.0),
            ("in witness whereof", 3.0),
            ("effective date", 1.5),
            ("confidential", 0.7),
        ],
    ),
    (
        Class::BankStatement,
        &[
            ("statement period", 3.0),
            ("opening balance", 3.0),
            ("closing balance", 3.0),
            ("account statement", 2.5),
            ("iban", 0.7),
            ("withdrawal", 1.0),
            ("deposit", 0.7),
            ("transactions", 1.0),
        ],
    ),
    (
        Class::Identity,
        &[
            ("passport", 2.5),
            ("identity card", 3.0),
            ("driving licence", 3.0),
            ("driver license", 3.0),
            ("date of birth", 2.0),
            ("nationality", 2.0),
            ("place of birth", 2.0),
            ("date of expiry", 1.5),
            ("surname", 1.5),
        ],
    ),
    (
        Class::Payslip,
        &[
            ("payslip", 3.0),
            ("pay period", 2.5),
            ("gross pay", 2.5),
            ("net pay", 2.5),
            ("employee", 1.0),
            ("deductions", 1.5),
            ("year to date", 1.5),
            ("employer", 1.0),
        ],
    ),
    (
        Class::TaxReturn,
        &[
            ("tax return", 3.0),
            ("taxable income", 2.5),
            ("tax year", 2.0),
            ("form 1040", 3.0),
            ("adjusted gross income", 3.0),
            ("deduction", 0.7),
            ("taxpayer", 2.0),
        ],
    ),
];

/// All classes, the likeliest first; only [`Class::Unknown`] when none is likely.
pub(crate) fn scores(text: &str, filename: &str) -> Vec<Score> {
    let words = format!(" {} ", words(text));
    let name = format!(" {} ", self::words(filename));
    let points = |phrases: Phrases| -> f64 {
        let said = |phrase: &str| words.matches(&format!(" {phrase} ")).count().min(REPEATS_MAX) as f64;
        let named = |phrase: &str| f64::from(u8::from(name.contains(&format!(" {phrase} "))));
        // The second time tells less than the first.
        phrases.iter().map(|(phrase, worth)| worth * (said(phrase).sqrt() + named(phrase))).sum()
    };
    let mut scores: Vec<_> = CLASSES.iter().map(|(class, phrases)| (*class, points(phrases))).collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1));
    if scores[0].1 < POINTS_MIN {
        return vec![Score { class: Class::Unknown, points: scores[0].1, share: 0.0 }];
    }
    let sum: f64 = scores.iter().map(|(_, points)| points).sum();
    let round = |value: f64| (value * 1000.0).round() / 1000.0;
    let found = scores.into_iter().filter(|(_, points)| *points > 0.0);
    found.map(|(class, points)| Score { class, points: round(points), share: round(points / sum) }).collect()
}

/// Lowercase words with one space between.
fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        scores(text, "scan.pdf")[0].class
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(class("Statement period: May. Opening balance 10.00, closing balance 12.00"), Class::BankStatement);
        assert_eq!(
            class("This Agreement is made between the Parties (hereinafter ...). Governing law: Ireland"),
            Class::Contract
        );
        assert_eq!(class("PASSPORT Surname LOVELACE Nationality British Date of birth 10 Dec 1815"), Class::Identity);
        assert_eq!(class("Payslip. Gross pay 3,000.00 Net pay 2,100.00 Employer X"), Class::Payslip);
        assert_eq!(class("Dear Ada, see you on Friday."), Class::Unknown);
    }

    #[test]
    fn shares_add_up_to_one() {
        let scores = scores("Invoice for the agreement of the parties. Amount due: 5 EUR", "invoice.pdf");
        assert_eq!(scores[0].class, Class::Invoice);
        assert!((scores.iter().map(|score| score.share).sum::<f64>() - 1.0).abs() < 0.01);
    }
}
