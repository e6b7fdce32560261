//! Server-Sent Events (WHATWG HTML §9.2) of an execution, shown as they come.

use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::out::{Out, line, lines};
use super::problem::Refused;
use super::remote::Remote;
use crate::egress::Streaming;

/// Bytes of one event; a server of ours never sends a longer one.
const EVENT_BYTES_MAX: usize = 16 << 20;

/// How often in a row a broken stream is resumed without getting any further.
const RESUMES_MAX: u32 = 5;

/// How long to wait before that.
const PAUSE: Duration = Duration::from_secs(1);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) data: String,
}

/// Makes events of pieces of a stream, however it was cut.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that end in `piece`.
    pub(super) fn push(&mut self, piece: &[u8]) -> anyhow::Result<Vec<Event>> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        let mut from = 0;
        while let Some(length) = self.rest[from..].iter().position(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(&self.rest[from..from + length]).into_owned();
            from += length + 1;
            events.extend(self.line(text.strip_suffix('\r').unwrap_or(&text)));
        }
        self.rest.drain(..from);
        if self.rest.len() + self.event.data.len() > EVENT_BYTES_MAX {
            bail!("the server sends an event of more than {EVENT_BYTES_MAX} bytes");
        }
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = Event { id: self.event.id.clone(), ..Event::default() };
            let mut done = std::mem::replace(&mut self.event, event);
            // Every line of data ended with a line feed; the last one does not belong to the data.
            let has_data = done.data.pop().is_some();
            return has_data.then_some(done);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.event.id),
            "event" => value.clone_into(&mut self.event.name),
            "data" => self.event.data.extend([value, "\n"]),
            // A comment, or a field of another purpose.
            _ => {}
        }
        None
    }
}

/// Shows an execution's events until its end, beginning with a stream that is open already, if there is one. A stream that
/// breaks is resumed. Fails when the execution did not succeed.
pub(super) async fn show(
    mut stream: Option<Streaming>,
    execution: &str,
    remote: &Remote,
    out: Out,
) -> anyhow::Result<()> {
    let (mut last, mut resumes, mut begun) = (None::<String>, 0, false);
    let mut open = match stream.take() {
        Some(open) => open,
        None => resume(execution, None, remote).await?,
    };
    loop {
        let before = last.clone();
        if let Some(end) = follow(open, &mut last, &mut begun, out).await? {
            return outcome(&end);
        }
        resumes = if last == before { resumes } else { 0 };
        open = loop {
            resumes += 1;
            tokio::time::sleep(PAUSE).await;
            match resume(execution, last.as_deref(), remote).await {
                Ok(open) => break open,
                // What the server refuses now it refuses later.
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(error) if resumes >= RESUMES_MAX => return Err(error),
                Err(_) => {}
            }
        };
        if resumes > RESUMES_MAX {
            bail!("the events of {execution} break off again and again");
        }
    }
}

async fn resume(execution: &str, last: Option<&str>, remote: &Remote) -> anyhow::Result<Streaming> {
    remote.events(&["v1", "executions", execution, "events"], last).await
}

/// Shows what comes until the end, which it returns, or until the stream breaks. `begun` is whether a part of the reply's
/// text is shown already.
async fn follow(
    mut stream: Streaming,
    last: &mut Option<String>,
    begun: &mut bool,
    out: Out,
) -> anyhow::Result<Option<Value>> {
    let mut parser = Parser::default();
    while let Some(Ok(piece)) = stream.body.next().await {
        for event in parser.push(&piece)? {
            *last = Some(event.id.clone()).filter(|id| !id.is_empty()).or(last.take());
            let data = serde_json::from_str(&event.data).unwrap_or(Value::Null);
            tell(&event, &data, begun, out)?;
            if event.name == "end" {
                return Ok(Some(data));
            }
        }
    }
    Ok(None)
}

fn tell(event: &Event, data: &Value, begun: &mut bool, out: Out) -> std::io::Result<()> {
    if out.is_json() {
        return out.data_line(&json!({ "id": event.id, "event": event.name, "data": data }));
    }
    match event.name.as_str() {
        "delta" => {
            *begun = true;
            out.text(&said(data))
        }
        "end" => {
            if let Some(reply) = data.get("reply") {
                // Whoever has seen the text come needs only its end.
                let text = if *begun { "\n".to_owned() } else { text_told(reply) };
                out.text(&(text + &data_told(reply)))?;
            }
            out.hint(status_told(data))
        }
        "progress" => out.hint(progress_told(data)),
        _ => out.text(&format!("{}\n", said(data))),
    }
}

/// What a flow said: its text, and else its data.
fn said(data: &Value) -> String {
    match data["text"].as_str() {
        Some(text) => lines(text).into_owned(),
        None if !data["data"].is_null() => data["data"].to_string(),
        None => data.to_string(),
    }
}

/// `… 50 % speaking`.
fn progress_told(data: &Value) -> String {
    let percent = data["percent"].as_u64().map(|percent| format!(" {percent} %"));
    let message = data["message"].as_str().map(|message| format!(" {}", line(message)));
    format!("…{}{}", percent.unwrap_or_default(), message.unwrap_or_default())
}

/// A reply's text, then its data.
pub(super) fn reply_told(reply: &Value) -> String {
    text_told(reply) + &data_told(reply)
}

fn text_told(reply: &Value) -> String {
    reply["text"].as_str().map(|text| format!("{}\n", lines(text))).unwrap_or_default()
}

fn data_told(reply: &Value) -> String {
    if reply["data"].is_null() { String::new() } else { format!("{:#}\n", reply["data"]) }
}

/// `execution exe_… succeeded`.
pub(super) fn status_told(execution: &Value) -> String {
    let text = |member: &str| execution[member].as_str().map(line);
    let id = text("execution_id").or(text("id")).unwrap_or_default();
    let reason = text("reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("execution {id} {}{reason}", text("status").unwrap_or_default())
}

fn outcome(end: &Value) -> anyhow::Result<()> {
    if end["status"] == "succeeded" {
        return Ok(());
    }
    let message = end.pointer("/failure/message").or(end.get("message")).and_then(Value::as_str).map(line);
    bail!("the execution did not succeed: {}", message.unwrap_or_else(|| status_told(end).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, name: &str, data: &str) -> Event {
        Event { id: id.into(), name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_cut() {
        let stream = ": hello\n\nid: 1-1\nevent: say\ndata: {\"text\":\"grüß\"}\n\nevent:end\r\ndata: a\r\ndata:b\r\n\r\nid: 9\n\n";
        let expected = [event("1-1", "say", "{\"text\":\"grüß\"}"), event("1-1", "end", "a\nb")];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events = stream.as_bytes().chunks(size).flat_map(|piece| parser.push(piece).unwrap());
            assert_eq!(events.collect::<Vec<_>>(), expected, "pieces of {size} bytes");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; EVENT_BYTES_MAX];
        assert!(parser.push(&piece).is_ok());
        assert!(parser.push(b"x").is_err());
    }

    #[test]
    fn an_end_that_is_no_success_is_an_error_with_its_reason() {
        assert!(outcome(&json!({"execution_id": "exe_1", "status": "succeeded"})).is_ok());
        let failed = json!({"status": "failed", "failure": {"kind": "failed", "message": "no order"}});
        assert!(outcome(&failed).unwrap_err().to_string().contains("no order"));
        let canceled = json!({"execution_id": "exe_1", "status": "canceled", "reason": "canceled"});
        assert!(outcome(&canceled).unwrap_err().to_string().contains("execution exe_1 canceled (canceled)"));
    }
}

#[cfg(test)]
mod fuzz {
    use flowgate_fuzz::fuzz;

    use super::Parser;

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let streams = [
            "id: 1-1\nevent: say\ndata: {\"text\":\"hi\"}\n\n: comment\n\ndata: a\ndata: b\r\n\r\n",
            "data\n\n",
            "id\n\n",
        ];
        fuzz!(|grow| {
            let stream = grow.bytes(&streams);
            let (first, rest) = stream.split_at(grow.below(stream.len() + 1));
            let whole = Parser::default().push(&stream).unwrap();
            let mut parser = Parser::default();
            let mut pieces = parser.push(first).unwrap();
            pieces.extend(parser.push(rest).unwrap());
            assert_eq!(pieces, whole);
        });
    }
}
