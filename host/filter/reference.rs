//! References to another place in the checked value: `customer.id`, `lines[0].sku`, `lines[$index].list_price`.

use std::fmt;

use serde_json::Value;

use super::condition::Scope;

/// Steps of a reference at most.
const STEPS_MAX: usize = 16;

/// A path from the top of the checked value.
#[derive(Debug)]
pub(super) struct Reference {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Element(usize),
    /// The element in which the condition stands; the second one in a path is that of the second list, and so on.
    Current,
}

impl Reference {
    /// Reads a path; `$.` before it may be left out. `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for part in text.strip_prefix("$.").unwrap_or(text).split('.') {
            let (name, mut rest) = part.find('[').map_or((part, ""), |at| part.split_at(at));
            if name.is_empty() {
                return None;
            }
            steps.push(Step::Member(name.to_owned()));
            while !rest.is_empty() {
                let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
                steps.push(if index == "$index" { Step::Current } else { Step::Element(index.parse().ok()?) });
                rest = after;
            }
        }
        (steps.len() <= STEPS_MAX).then(|| Self { text: text.to_owned(), steps })
    }

    /// What is there.
    pub(super) fn find<'a>(&self, scope: Scope<'a>) -> Option<&'a Value> {
        let mut indices = scope.indices().into_iter();
        self.steps.iter().try_fold(scope.root, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Element(index) => value.get(index),
            Step::Current => value.get(indices.next()?),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}
