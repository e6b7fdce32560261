//! What is wrong with a body.

/// Why a body is not what the dialect says it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is called JSON and is not.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// A line is called JSON and is not.
    #[error("line {number} cannot be read: {reason}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// The body is called a form and is not.
    #[error("the form cannot be read: {0}")]
    Form(String),
    /// A member has the wrong type.
    #[error("`{field}` must be {expected}, not {received}")]
    Type {
        /// Its dotted path.
        field: &'static str,
        /// What would have been right.
        expected: &'static str,
        /// What was there.
        received: &'static str,
    },
    /// A member is needed and absent.
    #[error("`{field}` is missing")]
    Missing {
        /// Its dotted path.
        field: &'static str,
        /// What should be there.
        expected: &'static str,
    },
    /// Members that are needed together or instead of each other are absent.
    #[error("{0}")]
    Incomplete(&'static str),
    /// A member comes twice; readers would disagree about which one counts.
    #[error("the member `{0}` comes twice")]
    Twice(String),
}
