//! Greets whoever writes, in their language and word by word, remembers them for the rest of the session, and counts all visits.

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

impl Visitor {
    /// One more visit, by whoever the visitor says to be.
    fn visit(&mut self, name: Option<String>) -> Output {
        self.visits += 1;
        self.name = name.or(self.name.take());
        Output { name: self.name.clone().unwrap_or_else(|| "stranger".to_owned()), visits: self.visits }
    }
}

/// The data of the reply.
#[derive(Serialize)]
struct Output {
    name: String,
    visits: u32,
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

/// What only a host can do; the rest is tested on this machine.
#[cfg(target_family = "wasm")]
mod flow {
    use flowgate::asynchronous::{self, Streaming, keyvalue, session};
    use flowgate::{Reply, Result, Trigger, log};

    use super::{Input, Visitor, greeting};

    async fn handle(trigger: Trigger) -> Result<Streaming> {
        let input: Input = trigger.data()?;
        let remember = async {
            match trigger.session_id {
                Some(_) => {
                    session::update("visitor", |visitor: &mut Visitor| Ok(visitor.visit(input.name.clone()))).await
                }
                None => Ok(Visitor::default().visit(input.name.clone())),
            }
        };
        // Both are under way at one time.
        let (output, visits) = asynchronous::join(remember, keyvalue::bucket().increment("visits", 1)).await;
        let (output, visits) = (output?, visits?);
        log::info!("visit {visits} of all, {} of {}", output.visits, output.name);
        let words = greeting(&input.language, &output);
        let (reply, mut parts) = asynchronous::streaming(Reply::json(&output)?);
        asynchronous::spawn(async move {
            // A caller that streams reads each word as it is written.
            for word in words.split_inclusive(' ') {
                parts.write(word).await;
            }
        });
        Ok(reply)
    }

    flowgate::flow_async!(handle);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_remembered() {
        let mut visitor = Visitor::default();
        assert_eq!(greeting(&Language::English, &visitor.visit(None)), "Hello, stranger!");
        assert_eq!(greeting(&Language::English, &visitor.visit(Some("Ada".to_owned()))), "Welcome back, Ada!");
        assert_eq!(greeting(&Language::German, &visitor.visit(None)), "Willkommen zurück, Ada!");
    }
}
