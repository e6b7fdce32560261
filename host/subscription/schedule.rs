//! When a failed attempt is followed by another.

use serde::{Deserialize, Serialize};

/// Attempts after the first at most.
const WAITS_MAX: usize = 50;
/// The longest wait, seconds: a week.
const WAIT_S_MAX: u64 = 7 * 24 * 3_600;

/// The waits between attempts. JSON: a word, or the list of seconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum Schedule {
    /// The server's, `delivery.schedule_s`: Standard Webhooks' advice unless the operator has changed it.
    #[default]
    Standard,
    /// AgenticFlow's: 1 min, 5 min, 15 min, 1 h, 6 h, 24 h.
    AgenticFlow,
    /// Seconds to wait before the second, third, … attempt.
    Own(Vec<u64>),
}

/// A schedule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not one of the words.
    #[error("is `{0}`; allowed: `standard`, `agenticflow`, or a list of seconds")]
    Word(String),
    /// Too many waits, or too long ones.
    #[error("allowed: at most {WAITS_MAX} waits, each of at most {WAIT_S_MAX} seconds")]
    Waits,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "allowed: `standard`, `agenticflow`, or a list of seconds")]
enum Form {
    Word(String),
    Waits(Vec<u64>),
}

impl Schedule {
    /// As many waits as retries, each `factor` times the one before and the first a minute; what AgenticFlow's
    /// `retry_policy` asks for.
    pub fn growing(retries: u32, factor: f64) -> Result<Self, Invalid> {
        let wait = |n: i32| 60.0 * factor.powi(n);
        let waits = (0..i32::try_from(retries).unwrap_or(i32::MAX)).take(WAITS_MAX + 1).map(wait);
        // Beyond a day a receiver is not helped by waiting longer.
        let waits = waits.map(|wait| wait.clamp(1.0, 86_400.0) as u64).collect();
        Self::own(waits)
    }

    /// Seconds to wait before the second, third, … attempt; none for the server's schedule.
    pub fn waits_s(&self) -> Option<&[u64]> {
        match self {
            Self::Standard => None,
            Self::AgenticFlow => Some(&[60, 300, 900, 3_600, 21_600, 86_400]),
            Self::Own(waits) => Some(waits),
        }
    }

    fn own(waits: Vec<u64>) -> Result<Self, Invalid> {
        let fits = waits.len() <= WAITS_MAX && waits.iter().all(|wait| *wait <= WAIT_S_MAX);
        if fits { Ok(Self::Own(waits)) } else { Err(Invalid::Waits) }
    }
}

impl TryFrom<Form> for Schedule {
    type Error = Invalid;

    fn try_from(form: Form) -> Result<Self, Invalid> {
        match form {
            Form::Waits(waits) => Self::own(waits),
            Form::Word(word) => match word.as_str() {
                "standard" => Ok(Self::Standard),
                "agenticflow" => Ok(Self::AgenticFlow),
                _ => Err(Invalid::Word(word)),
            },
        }
    }
}

impl From<Schedule> for Form {
    fn from(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Standard => Self::Word("standard".to_owned()),
            Schedule::AgenticFlow => Self::Word("agenticflow".to_owned()),
            Schedule::Own(waits) => Self::Waits(waits),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_is_a_word_or_a_list() {
        for (json, waits) in [
            (json!("standard"), None),
            (json!("agenticflow"), Some(vec![60, 300, 900, 3_600, 21_600, 86_400])),
            (json!([1, 2]), Some(vec![1, 2])),
            (json!([]), Some(vec![])),
        ] {
            let schedule: Schedule = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(schedule.waits_s(), waits.as_deref());
            assert_eq!(serde_json::to_value(&schedule).unwrap(), json);
        }
        for (json, why) in [
            (json!("daily"), "is `daily`; allowed: `standard`, `agenticflow`, or a list of seconds"),
            (json!(7), "allowed: `standard`, `agenticflow`, or a list of seconds"),
            (json!(vec![1; 51]), "allowed: at most 50 waits, each of at most 604800 seconds"),
            (json!([604_801]), "allowed: at most 50 waits, each of at most 604800 seconds"),
        ] {
            assert_eq!(serde_json::from_value::<Schedule>(json).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn a_retry_policy_becomes_a_list() {
        assert_eq!(Schedule::growing(3, 2.0), Ok(Schedule::Own(vec![60, 120, 240])));
        assert_eq!(Schedule::growing(2, 1e9), Ok(Schedule::Own(vec![60, 86_400])));
        assert_eq!(Schedule::growing(0, 2.0), Ok(Schedule::Own(vec![])));
        assert_eq!(Schedule::growing(u32::MAX, 2.0), Err(Invalid::Waits));
    }
}
