//! Greets whoever writes, in their language, and remembers them for the rest of the session.

use flowgate::{Reply, Result, Trigger, log, session};
use serde::{Deserialize, Serialize};

/// The payload, `data` of the request. What does not fit is refused with a 422 that names the field.
#[derive(Deserialize)]
struct Input {
    name: Option<String>,
    #[serde(default)]
    language: Language,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Language {
    #[default]
    English,
    German,
    Spanish,
}

/// What the session remembers.
#[derive(Default, Serialize, Deserialize)]
struct Visitor {
    name: Option<String>,
    visits: u32,
}

/// The data of the reply.
#[derive(Serialize)]
struct Output {
    name: String,
    visits: u32,
}

fn handle(trigger: Trigger) -> Result {
    let input: Input = trigger.data()?;
    let language = input.language;
    let visitor = match trigger.session_id {
        Some(_) => session::update("visitor", |visitor: &mut Visitor| {
            visitor.visits += 1;
            visitor.name = input.name.clone().or(visitor.name.take());
            Ok(Output { name: visitor.name.clone().unwrap_or_else(stranger), visits: visitor.visits })
        })?,
        None => Output { name: input.name.unwrap_or_else(stranger), visits: 1 },
    };
    log::info!("visit {} of {}", visitor.visits, visitor.name);
    Ok(Reply::json(&visitor)?.with_text(greeting(&language, &visitor)))
}

fn stranger() -> String {
    "stranger".to_owned()
}

fn greeting(language: &Language, Output { name, visits }: &Output) -> String {
    match (language, visits) {
        (Language::English, 1) => format!("Hello, {name}!"),
        (Language::English, _) => format!("Welcome back, {name}!"),
        (Language::German, 1) => format!("Guten Tag, {name}!"),
        (Language::German, _) => format!("Willkommen zurück, {name}!"),
        (Language::Spanish, 1) => format!("¡Hola, {name}!"),
        (Language::Spanish, _) => format!("¡Hola de nuevo, {name}!"),
    }
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::{Failure, testing};

    use super::*;

    fn text(body: &str) -> String {
        testing::run(handle, testing::trigger().with_body(body)).unwrap().text.unwrap()
    }

    #[test]
    fn a_visitor_is_remembered_within_the_session() {
        assert_eq!(text(r#"{"session_id":"s1","data":{"name":"Ada"}}"#), "Hello, Ada!");
        assert_eq!(text(r#"{"session_id":"s1","data":{"language":"german"}}"#), "Willkommen zurück, Ada!");
        assert_eq!(text(r#"{"session_id":"s2"}"#), "Hello, stranger!");
    }

    #[test]
    fn an_unknown_language_is_refused() {
        let result = testing::run(handle, testing::trigger().with_data(r#"{"language":"latin"}"#));
        assert_eq!(result, Err(Failure::invalid("language", "one of `english`, `german`, `spanish`", "\"latin\"")));
    }
}
