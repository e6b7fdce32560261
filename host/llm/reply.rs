//! A reply on its way, whoever gives it.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::gather::Gathered;
use super::mock::Tape;
use super::wire::{Answer, Endpoint};
use super::{Backend, Chunk, Error, Model, Provider, Reply, Request, Usage, anthropic, openai};

/// A reply that is on its way. Dropping it ends the call.
pub struct Chat {
    /// Who answers.
    model: Arc<Model>,
    source: Source,
    gathered: Gathered,
    input_tokens: u32,
    /// Set when the provider has said all.
    ended: bool,
    done: bool,
    record: Option<(Tape, Request)>,
}

enum Source {
    Streamed {
        answer: Box<Answer>,
        reader: Reader,
    },
    Played {
        reply: Reply,
        pieces: VecDeque<String>,
    },
    /// It has come as a whole.
    Whole,
}

enum Reader {
    OpenAi,
    Anthropic(anthropic::Reader),
}

impl Chat {
    pub(super) async fn begin(model: Arc<Model>, endpoint: &Endpoint, request: &Request) -> Result<Self, Error> {
        let (name, max_tokens) = (model.name().to_owned(), model.max_tokens(request));
        let (path, body, mut reader) = match endpoint.provider {
            Provider::Anthropic => {
                let reader = Reader::Anthropic(anthropic::Reader::of(request));
                ("messages", anthropic::body(&name, request, max_tokens), reader)
            }
            _ => {
                let own = endpoint.provider == Provider::OpenAi && model.spec.url.is_none();
                ("chat/completions", openai::body(&name, request, max_tokens, own), Reader::OpenAi)
            }
        };
        let answer = endpoint.ask(path, &Value::Object(body)).await?;
        let mut gathered = Gathered::default();
        let source = if answer.streams {
            Source::Streamed { answer: Box::new(answer), reader }
        } else {
            let whole = answer.whole().await.map_err(|error| endpoint.clean(error))?;
            reader.read_whole(&mut gathered, &whole).map_err(|error| endpoint.clean(error))?;
            Source::Whole
        };
        Ok(Self::new(model, source, gathered, request))
    }

    /// A reply that is known.
    pub(super) fn play(model: Arc<Model>, reply: Reply) -> Self {
        let pieces = reply.text.split_inclusive(' ').map(str::to_owned).collect();
        Self::new(model, Source::Played { reply, pieces }, Gathered::default(), &Request::default())
    }

    fn new(model: Arc<Model>, source: Source, gathered: Gathered, request: &Request) -> Self {
        let input_tokens = match &source {
            Source::Played { reply, .. } => reply.usage.input_tokens,
            _ => u32::try_from(request.tokens()).unwrap_or(u32::MAX),
        };
        Self { model, source, gathered, input_tokens, ended: false, done: false, record: None }
    }

    /// The same, kept when it is whole.
    pub(super) fn recorded(self, tape: Tape, request: Request) -> Self {
        Self { record: Some((tape, request)), ..self }
    }

    /// The model that answers: the one that was asked, or one that stands in for it.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What it has taken so far, as far as can be told before its end.
    pub fn so_far(&self) -> Usage {
        let told = self.gathered.usage.unwrap_or_default();
        Usage {
            input_tokens: if told.input_tokens > 0 { told.input_tokens } else { self.input_tokens },
            output_tokens: told.output_tokens.max(self.gathered.tokens()),
            cached_tokens: told.cached_tokens,
        }
    }

    /// The next piece; none after [`Chunk::Done`]. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Chunk>, Error> {
        loop {
            if let Some(chunk) = self.gathered.next() {
                return Ok(Some(chunk));
            }
            if self.done {
                return Ok(None);
            }
            if self.ended {
                let reply = self.gathered.reply(self.model.name(), self.input_tokens)?;
                if let Some((tape, request)) = self.record.take() {
                    tape.keep(&request.hash(), &request, &reply).await?;
                }
                self.done = true;
                return Ok(Some(Chunk::Done(reply)));
            }
            self.ended = self.read().await.inspect_err(|_| self.done = true)?;
            if self.ended {
                self.gathered.close();
            }
        }
    }

    /// Reads what comes next. True at the end.
    async fn read(&mut self) -> Result<bool, Error> {
        let gathered = &mut self.gathered;
        match &mut self.source {
            Source::Whole => Ok(true),
            Source::Streamed { answer, reader } => {
                let read = match answer.event().await {
                    Ok(Some(data)) => reader.read(gathered, &data),
                    Ok(None) => Ok(true),
                    Err(error) => Err(error),
                };
                match &self.model.backend {
                    Backend::Wire(endpoint) => read.map_err(|error| endpoint.clean(error)),
                    _ => read,
                }
            }
            Source::Played { reply, pieces } => {
                if let Some(piece) = pieces.pop_front() {
                    gathered.text(&piece)?;
                    return Ok(false);
                }
                for (place, call) in reply.calls.iter().enumerate() {
                    gathered.call(place as u64, &call.id, &call.name, &call.arguments.to_string())?;
                }
                gathered.finish = Some(reply.finish);
                gathered.usage = Some(reply.usage);
                gathered.model = Some(reply.model.clone());
                Ok(true)
            }
        }
    }
}

impl Reader {
    fn read(&mut self, gathered: &mut Gathered, data: &str) -> Result<bool, Error> {
        match self {
            Self::OpenAi => openai::read(gathered, data),
            Self::Anthropic(reader) => reader.read(gathered, data),
        }
    }

    fn read_whole(&mut self, gathered: &mut Gathered, answer: &Value) -> Result<(), Error> {
        match self {
            Self::OpenAi => openai::read_whole(gathered, answer),
            Self::Anthropic(reader) => reader.read_whole(gathered, answer),
        }
    }
}
