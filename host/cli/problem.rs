//! A problem of the server, as a person reads it.

use std::fmt::Write as _;

use serde_json::Value;

use super::out::line;

/// The server's refusal. Its text has the title and detail on the first line, then a line for each wrong field, then hints.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Refused {
    /// The HTTP status.
    pub(super) status: u16,
    text: String,
}

impl Refused {
    /// The refusal in an answer: problem+json (RFC 9457), or whatever else came.
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        let problem = serde_json::from_slice::<Value>(body).ok().filter(|problem| problem["title"].is_string());
        let text = match problem {
            Some(problem) => told(&problem),
            None => {
                let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
                format!("the server answered with status {status}: {}", line(text.trim()))
            }
        };
        Self { status, text }
    }
}

fn told(problem: &Value) -> String {
    let text = |member: &str| problem[member].as_str().map(line);
    let mut told = text("title").unwrap_or_default().into_owned();
    if let Some(detail) = text("detail") {
        let _ = write!(told, ": {detail}");
    }
    for error in problem["errors"].as_array().into_iter().flatten() {
        let text = |member: &str| error[member].as_str().map(line);
        let message = text("message").unwrap_or_default();
        let types = text("expected").zip(text("received"));
        let types = types.map(|(expected, received)| format!("expected {expected}, received {received}"));
        // A detail that says the same already is not repeated.
        let told_by_detail = told.contains(&*message);
        let said = match types {
            Some(types) if told_by_detail => types,
            Some(types) => format!("{message} ({types})"),
            None if told_by_detail => continue,
            None => message.into_owned(),
        };
        let _ = write!(told, "\n  {}: {said}", text("field").unwrap_or_default());
    }
    for hint in hints(problem) {
        let _ = write!(told, "\nhint: {hint}");
    }
    told
}

fn hints(problem: &Value) -> Vec<String> {
    let mut hints = Vec::new();
    match problem["code"].as_str() {
        Some("unauthenticated") => hints.push(
            "the management API takes an API key by `--key` or FLOWGATE_KEY (the first `flowgate serve` shows one), a \
             hook its secret by `--secret` or FLOWGATE_SECRET; `flowgate hook requests HOOK` says why a hook refused"
                .to_owned(),
        ),
        Some("forbidden") => hints.push("the key may only read; use one with the role `admin`".to_owned()),
        Some("no-live-version") => hints.push("upload one: `flowgate deploy FLOW FILE`".to_owned()),
        Some("hook-disabled") => hints.push("enable it: `flowgate hook enable HOOK`".to_owned()),
        _ => {}
    }
    if let Some(id) = problem["execution_id"].as_str() {
        hints.push(format!("`flowgate execution logs {0}` and `flowgate execution show {0}` say more", line(id)));
    }
    if problem["retryable"] == Value::Bool(true) {
        hints.push("the same request may succeed later".to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_its_fields_and_what_to_do() {
        let problem = json!({
            "type": "/errors/invalid-input", "title": "The flow cannot use this input", "status": 422,
            "detail": "the amount is no amount", "code": "invalid-input", "fault": "caller", "retryable": false,
            "execution_id": "exe_1",
            "errors": [{"field": "amount", "message": "is text", "expected": "number", "received": "string\u{1b}[0m"}],
        });
        let refused = Refused::new(422, problem.to_string().as_bytes());
        assert_eq!(
            refused.to_string(),
            "The flow cannot use this input: the amount is no amount\n  \
             amount: is text (expected number, received string\\u{1b}[0m)\n\
             hint: `flowgate execution logs exe_1` and `flowgate execution show exe_1` say more"
        );
    }

    #[test]
    fn a_detail_is_not_repeated() {
        let told = |errors: Value| {
            let problem = json!({"title": "Wrong", "detail": "`name`: is missing", "errors": errors});
            Refused::new(422, problem.to_string().as_bytes()).to_string()
        };
        assert_eq!(told(json!([{"field": "name", "message": "is missing"}])), "Wrong: `name`: is missing");
        let typed = json!([{"field": "name", "message": "is missing", "expected": "string", "received": "null"}]);
        assert_eq!(told(typed), "Wrong: `name`: is missing\n  name: expected string, received null");
    }

    #[test]
    fn an_answer_that_is_no_problem_is_told_too() {
        let refused = Refused::new(502, b"<html>bad gateway</html>\n");
        assert_eq!(refused.to_string(), "the server answered with status 502: <html>bad gateway</html>");
    }
}
