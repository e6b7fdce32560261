//! Providers that stand on the loopback interface and speak both formats, well and badly; and the books.

mod anthropic;
mod budget;
mod openai;
mod refusals;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

pub(super) const KEY: &str = "sk-very-secret-0123456789";

/// Gives its answers in order, one for each connection, and keeps what it was asked.
pub(super) struct Fake {
    url: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

/// What a connection is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// These bytes in pieces of so many, then the end.
    Pieces(String, usize),
    /// These bytes, and then these again and again; silence when they are none.
    Endless(String, &'static str),
}

pub(super) fn status(status: u16, headers: &str, body: &str) -> Answer {
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}");
    Answer::Pieces(format!("{head}content-length: {}\r\n\r\n{body}", body.len()), usize::MAX)
}

/// Events whose bytes come in pieces of so many.
pub(super) fn events(body: &str, piece: usize) -> Answer {
    Answer::Pieces(format!("{STREAM}{body}"), piece)
}

pub(super) const STREAM: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n";

impl Fake {
    pub(super) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.into_iter().collect();
        let all = seen.clone();
        tokio::spawn(async move {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let request = read(&mut stream).await;
                all.lock().unwrap().push(request);
                tokio::spawn(write(stream, answer));
            }
        });
        Self { url, seen }
    }

    pub(super) fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }

    /// Models of which `fast` is this one.
    pub(super) fn models(&self, provider: &str) -> Models {
        self.models_with(provider, &json!({}))
    }

    pub(super) fn models_with(&self, provider: &str, more: &Value) -> Models {
        let mut fast = json!({ "provider": provider, "url": self.url, "model": "big-1", "key_env": "KEY" });
        for (name, value) in more.as_object().unwrap() {
            fast[name] = value.clone();
        }
        models(json!({ "fast": fast, "mock": {} }))
    }
}

/// The models of a configuration in which `KEY` is set.
pub(super) fn models(options: Value) -> Models {
    try_models(options).unwrap()
}

pub(super) fn try_models(options: Value) -> Result<Models, Unusable> {
    let options: Options = serde_json::from_value(options).unwrap();
    let variable = |name: &str| (name == "KEY").then(|| KEY.to_owned());
    Models::new(&options, &egress::Options::default(), Clock::system(), variable)
}

async fn read(stream: &mut TcpStream) -> (String, Value) {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let length: usize = length.unwrap();
    while bytes.len() < end + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
    }
    (head, serde_json::from_slice(&bytes[end..]).unwrap())
}

async fn write(mut stream: TcpStream, answer: Answer) {
    stream.set_nodelay(true).unwrap();
    // Whoever asked may hang up in the middle.
    match answer {
        Answer::Pieces(bytes, size) => {
            for piece in bytes.as_bytes().chunks(size) {
                if stream.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        Answer::Endless(begin, again) => {
            let _ = stream.write_all(begin.as_bytes()).await;
            if again.is_empty() {
                std::future::pending::<()>().await;
            }
            while stream.write_all(again.as_bytes()).await.is_ok() {}
        }
    }
    let _ = stream.shutdown().await;
}

pub(super) fn say(role: Role, text: &str) -> Message {
    Message { role, parts: vec![Part::Text(text.to_owned())] }
}

pub(super) fn asking(text: &str) -> Request {
    Request { messages: vec![say(Role::User, text)], ..Request::default() }
}

/// Asks `fast`, and reads all pieces of its reply.
pub(super) async fn ask(models: &Models, request: &Request) -> Result<(Vec<Chunk>, Reply), Error> {
    let mut chat = models.open(models.find("fast").unwrap(), request).await?;
    let mut chunks = Vec::new();
    while let Some(chunk) = chat.next().await? {
        match chunk {
            Chunk::Done(reply) => {
                assert_eq!(chat.next().await, Ok(None), "nothing follows the end");
                return Ok((chunks, reply));
            }
            chunk => chunks.push(chunk),
        }
    }
    panic!("a reply without an end");
}

pub(super) fn texts(chunks: &[Chunk]) -> String {
    let text = |chunk: &Chunk| match chunk {
        Chunk::Text(text) => text.clone(),
        _ => String::new(),
    };
    chunks.iter().map(text).collect()
}

/// A conversation that has everything in it.
pub(super) fn rich() -> Request {
    let call = ToolCall { id: "c1".into(), name: "find".into(), arguments: json!({"id": 7}) };
    let result = Part::ToolResult { id: "c1".into(), content: "none".into(), is_error: true };
    let image = Part::Image { media_type: "image/png".into(), base64: "AAAA".into() };
    let text = |text: &str| Part::Text(text.to_owned());
    Request {
        messages: vec![
            say(Role::System, "Be kind."),
            Message { role: Role::User, parts: vec![text("Where?"), image] },
            Message { role: Role::Assistant, parts: vec![text("I look."), Part::ToolCall(call)] },
            Message { role: Role::Tool, parts: vec![result] },
            say(Role::User, "And?"),
        ],
        tools: vec![Tool { name: "find".into(), description: "Finds.".into(), parameters: json!({"type": "object"}) }],
        choice: Choice::Named("find".into()),
        max_tokens: Some(50),
        temperature: Some(0.5),
        stop: vec!["END".into()],
        seed: Some(3),
        extra: serde_json::from_value(json!({"user": "u1"})).unwrap(),
        ..Request::default()
    }
}
