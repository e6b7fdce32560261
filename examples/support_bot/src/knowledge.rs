//! What the bot knows, and which of it fits a message best.

/// Below this, the bot does not claim to have understood.
const CONFIDENCE_MIN: f64 = 0.35;

pub(crate) struct Article {
    pub(crate) id: &'static str,
    topic: &'static str,
    /// Word stems and what each is worth; a message that collects 1.0 is surely about this.
    stems: &'static [(&'static str, f64)],
    pub(crate) answer: &'static str,
    /// Whether it takes a person to solve, and so an order, an address and a description.
    pub(crate) needs_case: bool,
}

pub(crate) struct Match {
    pub(crate) article: &'static Article,
    /// 0 to 1.
    pub(crate) confidence: f64,
}

static ARTICLES: [Article; 7] = [
    Article {
        id: "damaged_item",
        topic: "damaged goods",
        stems: &[
            ("damag", 0.8),
            ("broken", 0.8),
            ("crack", 0.6),
            ("defect", 0.8),
            ("scratch", 0.6),
            ("arriv", 0.1),
            ("leak", 0.5),
        ],
        answer: "I am sorry that it did not reach you whole. We replace it free of charge.",
        needs_case: true,
    },
    Article {
        id: "late_delivery",
        topic: "late deliveries",
        stems: &[
            ("late", 0.6),
            ("delay", 0.7),
            ("where", 0.3),
            ("track", 0.5),
            ("arriv", 0.2),
            ("deliver", 0.3),
            ("parcel", 0.2),
            ("miss", 0.4),
        ],
        answer: "Parcels usually take three to five working days; let me look at yours.",
        needs_case: true,
    },
    Article {
        id: "refund",
        topic: "refunds",
        stems: &[("refund", 0.9), ("money", 0.4), ("back", 0.1), ("return", 0.5), ("reimburs", 0.8), ("cancel", 0.4)],
        answer: "You can return anything within 30 days; the money is with you five days after we have it back.",
        needs_case: true,
    },
    Article {
        id: "change_address",
        topic: "changes of address",
        stems: &[("chang", 0.3), ("address", 0.3), ("mov", 0.3), ("wrong", 0.1), ("relocat", 0.6)],
        answer: "You can change the address in your account under Orders, as long as the parcel has not left us.",
        needs_case: false,
    },
    Article {
        id: "opening_hours",
        topic: "opening hours",
        stems: &[("open", 0.5), ("hour", 0.5), ("clos", 0.3), ("when", 0.1), ("weekend", 0.3), ("sunday", 0.3)],
        answer: "We are here Monday to Friday from 8:00 to 18:00 and Saturday from 9:00 to 13:00.",
        needs_case: false,
    },
    Article {
        id: "payment_methods",
        topic: "payment methods",
        stems: &[("pay", 0.5), ("card", 0.4), ("invoic", 0.4), ("paypal", 0.7), ("instal", 0.5), ("method", 0.2)],
        answer: "You can pay by card, by bank transfer, or on invoice from your second order on.",
        needs_case: false,
    },
    Article {
        id: "password",
        topic: "passwords",
        stems: &[("password", 0.9), ("login", 0.5), ("log", 0.2), ("sign", 0.3), ("locked", 0.4), ("reset", 0.4)],
        answer: "Choose \"Forgot password\" on the sign-in page; the link that we send works for one hour.",
        needs_case: false,
    },
];

/// The article that fits best, if any fits well enough.
pub(crate) fn best(message: &str) -> Option<Match> {
    let words: Vec<String> =
        message.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2).map(str::to_lowercase).collect();
    let matches = ARTICLES.iter().map(|article| Match { article, confidence: confidence(article, &words) });
    matches.filter(|found| found.confidence >= CONFIDENCE_MIN).max_by(|a, b| a.confidence.total_cmp(&b.confidence))
}

pub(crate) fn topics() -> String {
    let topics: Vec<_> = ARTICLES.iter().map(|article| article.topic).collect();
    let (last, others) = topics.split_last().expect("there are articles");
    format!("{} and {last}", others.join(", "))
}

fn confidence(article: &Article, words: &[String]) -> f64 {
    let said = |stem: &str| words.iter().any(|word| word.starts_with(stem));
    article.stems.iter().filter(|(stem, _)| said(stem)).map(|(_, worth)| worth).sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(message: &str) -> Option<&'static str> {
        best(message).map(|found| found.article.id)
    }

    #[test]
    fn the_best_article_wins() {
        assert_eq!(id("The vase arrived broken"), Some("damaged_item"));
        assert_eq!(id("Where is my parcel? It is delayed"), Some("late_delivery"));
        assert_eq!(id("can I get my money back, I want to return it"), Some("refund"));
        assert_eq!(id("do you take PayPal"), Some("payment_methods"));
    }

    #[test]
    fn a_weak_match_is_none() {
        assert_eq!(id("back when"), None);
        assert_eq!(id("48213"), None);
    }
}
