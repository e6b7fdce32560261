//! `flowgate:flow/llm`: language models, for flows that were granted them.
//!
//! A call is let through when the flow was granted the alias and what it may cost at most fits into the flow's budgets; what
//! it did cost is settled when the reply is whole, or when the guest lets go of it. A guest that stops reading stops the
//! provider too, since nothing is read ahead.

mod convert;

use std::sync::Arc;

use wasmtime::component::{HasData, Resource, ResourceTable};

use crate::bindings::v0_1::flow::llm as wire;
use crate::bindings::v0_1::flow::llm::{Error, Host, HostChatStream};
use crate::id::FlowId;
use crate::llm::{self, Bound, Chat, Ledger, Limits, Model, Models, Refused, Reservation, Rule, Spent, Usage, gen_ai};
use crate::store::LlmUsage;

use self::convert::{request, told, whole};
use super::output::Outputs;
use super::recorder::{Answered, LlmAnswer, Place, Recorder};
use super::spans::{Open, Spans};
use super::{Grants, Options};

/// Texts of one call of `embed`, as the providers have it.
const INPUTS_MAX: usize = 2_048;

/// Bytes of forwarded text that go out together, but for the first, which goes at once. Each output is a row, so it is not
/// each token that is one.
const FORWARD_BYTES: usize = 32;

pub(super) struct Llm {
    models: Models,
    ledger: Ledger,
    flow: Option<FlowId>,
    grants: Arc<Grants>,
    spent: Spent,
    calls: u32,
    calls_max: u32,
    /// The streams that are open, by their places in the table.
    open: Vec<u32>,
    streams_max: usize,
    recorder: Recorder,
}

/// The capability with what it needs of its neighbours.
pub(super) struct View<'a> {
    pub(super) llm: &'a mut Llm,
    pub(super) output: &'a mut Outputs,
    pub(super) spans: &'a Spans,
    pub(super) table: &'a mut ResourceTable,
}

/// [`View`] as `add_to_linker` wants it.
pub(super) struct HasLlm;

impl HasData for HasLlm {
    type Data<'a> = View<'a>;
}

/// A reply that is on its way to the guest: what a `chat-stream` stands for.
struct Talk {
    /// None when the execution that opened it has ended.
    chat: Option<Chat>,
    /// None when it is settled.
    reservation: Option<Reservation>,
    span: Option<Open>,
    forward: Option<Forward>,
    record: Option<Record>,
}

/// Where what a model answers is kept.
struct Record {
    place: Place,
    model: String,
    forward: bool,
}

impl Record {
    fn keep(self, answer: Rule) {
        self.place.keep(Answered::Llm(LlmAnswer { model: self.model, forward: self.forward, answer }));
    }
}

/// Text on its way to the caller.
#[derive(Default)]
struct Forward {
    waiting: String,
    begun: bool,
}

impl Llm {
    pub(super) fn new(
        options: &Options,
        models: Models,
        ledger: Ledger,
        flow: Option<FlowId>,
        grants: Arc<Grants>,
        spent: Spent,
        recorder: Recorder,
    ) -> Self {
        let (calls_max, streams_max) = (options.llm_calls_max, options.llm_streams_max);
        Self { models, ledger, flow, grants, spent, calls: 0, calls_max, open: Vec::new(), streams_max, recorder }
    }

    /// What the execution spent so far.
    pub(super) fn usage(&self) -> LlmUsage {
        self.spent.usage()
    }

    /// Ends what an execution has left open. An instance that runs another one may hold it still, and finds it at its end.
    pub(super) fn end(&mut self, table: &mut ResourceTable) {
        for place in self.open.drain(..) {
            if let Ok(talk) = table.get_mut(&Resource::<Talk>::new_borrow(place)) {
                *talk = Talk { chat: None, reservation: None, span: None, forward: None, record: None };
            }
        }
    }

    fn granted(&self, alias: &str) -> Result<(FlowId, Limits, Arc<Model>), Error> {
        let not = |why: &str| Error::NotGranted(format!("`{alias}` {why}"));
        let flow = self.flow.ok_or_else(|| not("cannot be asked while the flow is only tried"))?;
        let grant = self.grants.llm.as_ref().filter(|grant| grant.models.iter().any(|model| model == alias));
        let grant = grant.ok_or_else(|| not("was not granted to the flow"))?;
        let model = self.models.find(alias).ok_or_else(|| not("is granted, but there is no model of this name"))?;
        let limits = Limits {
            tokens_per_execution: grant.tokens_per_execution,
            tokens_per_day: grant.tokens_per_day,
            micro_usd_per_day: grant.micro_usd_per_day,
        };
        if let Some(alias) = self.models.without_price(model).filter(|_| limits.micro_usd_per_day.is_some()) {
            let why =
                format!("`model` has a budget in money, and there is no price for `{alias}` in the configuration");
            return Err(Error::Invalid(why));
        }
        Ok((flow, limits, model.clone()))
    }

    async fn reserve(
        &mut self,
        flow: FlowId,
        limits: Limits,
        bound: Bound,
        model: &Model,
        least: Usage,
    ) -> Result<Reservation, Error> {
        count("calls per execution", self.calls.into(), self.calls_max.into())?;
        let reserved = self.ledger.reserve(flow, &self.spent, limits, bound, model.alias(), least).await;
        let reserved = reserved.map_err(|refused| match refused {
            Refused::Exceeded(budget) => {
                let (name, limit, used, wanted) = (budget.name.to_owned(), budget.limit, budget.used, budget.wanted);
                Error::BudgetExceeded(wire::Budget { name, limit, used, wanted })
            }
            Refused::Store(error) => {
                tracing::warn!(%error, "what a flow has spent on models cannot be read");
                Error::Provider("the host could not read what the flow has spent".to_owned())
            }
        })?;
        self.calls += 1;
        Ok(reserved)
    }
}

fn count(name: &str, used: u64, limit: u64) -> Result<(), Error> {
    if used < limit {
        return Ok(());
    }
    Err(Error::BudgetExceeded(wire::Budget { name: name.to_owned(), limit, used, wanted: 1 }))
}

impl View<'_> {
    async fn begin(&mut self, asked: wire::Request) -> Result<Talk, Error> {
        let span = self.spans.open("llm.chat");
        match self.begun(asked, &span).await {
            Ok(talk) => Ok(Talk { span: Some(span), ..talk }),
            Err(error) => {
                span.fail(word(&error));
                Err(error)
            }
        }
    }

    async fn begun(&mut self, asked: wire::Request, span: &Open) -> Result<Talk, Error> {
        let (flow, limits, model) = self.llm.granted(&asked.model)?;
        set(span, gen_ai::asked("chat", &model));
        let forward = asked.forward;
        let request = request(asked).map_err(Error::Invalid)?;
        let bound = self.llm.models.bound(&model, &request);
        set(span, gen_ai::chat(&model, &request, bound));
        // Should the call be cut off before the provider says what it took, it took at least this.
        let least = Usage { input_tokens: u32::try_from(request.tokens()).unwrap_or(u32::MAX), ..Usage::default() };
        let mut reservation = self.llm.reserve(flow, limits, bound, &model, least).await?;
        reservation.note(least, model.cost(least).unwrap_or(0));
        let place = self.llm.recorder.begin();
        let record = place.map(|place| Record { place, model: model.alias().to_owned(), forward });
        match self.llm.models.open(&model, &request).await {
            Ok(chat) => {
                let forward = forward.then(Forward::default);
                Ok(Talk { chat: Some(chat), reservation: Some(reservation), span: None, forward, record })
            }
            Err(error) => {
                // Of a request that was not answered in time it is not known whether it was worked on.
                if error != llm::Error::Timeout {
                    reservation.release();
                }
                if let Some(record) = record {
                    record.keep(Rule::failing(&error));
                }
                Err(error.into())
            }
        }
    }

    async fn embed(&mut self, alias: &str, inputs: &[String]) -> Result<wire::Embeddings, Error> {
        let span = self.spans.open("llm.embed");
        let embedded = self.embedded(alias, inputs, &span).await;
        embedded.inspect_err(|error| span.fail(word(error)))
    }

    async fn embedded(&mut self, alias: &str, inputs: &[String], span: &Open) -> Result<wire::Embeddings, Error> {
        let (flow, limits, model) = self.llm.granted(alias)?;
        set(span, gen_ai::asked("embeddings", &model));
        if inputs.is_empty() || inputs.len() > INPUTS_MAX || inputs.iter().any(String::is_empty) {
            return Err(Error::Invalid(format!("`inputs` must be 1 to {INPUTS_MAX} texts, none of them empty")));
        }
        let tokens = inputs.iter().map(|input| 1 + llm::text_tokens(input.len())).sum::<u64>();
        let usage = Usage { input_tokens: u32::try_from(tokens).unwrap_or(u32::MAX), ..Usage::default() };
        let bound = Bound { tokens, micro_usd: model.cost(usage).unwrap_or(0) };
        let mut reservation = self.llm.reserve(flow, limits, bound, &model, usage).await?;
        reservation.note(usage, bound.micro_usd);
        match self.llm.models.embed(&model, inputs).await {
            Ok((vectors, usage)) => {
                let cost = model.cost(usage);
                reservation.settle(usage, cost.unwrap_or(0)).await;
                set(span, gen_ai::used(usage, cost));
                Ok(wire::Embeddings { vectors, usage: told(usage, cost) })
            }
            Err(error @ llm::Error::Timeout) => Err(error.into()),
            Err(error) => {
                reservation.release();
                Err(error.into())
            }
        }
    }
}

impl Talk {
    /// The next piece, for the guest and, if it wishes, for its caller.
    async fn next(&mut self, output: &mut Outputs) -> Result<Option<wire::Chunk>, Error> {
        let Some(chat) = &mut self.chat else { return Ok(None) };
        match chat.next().await {
            Ok(None) => Ok(None),
            Ok(Some(llm::Chunk::Text(text))) => {
                let so_far = chat.so_far();
                let cost = chat.model().cost(so_far).unwrap_or(0);
                self.reservation.iter_mut().for_each(|reservation| reservation.note(so_far, cost));
                let ready = self.forward.as_mut().and_then(|forward| forward.add(&text));
                self.say(ready, output).await;
                Ok(Some(wire::Chunk::Text(text)))
            }
            Ok(Some(llm::Chunk::ToolCall(call))) => Ok(Some(wire::Chunk::ToolCall(call.into()))),
            Ok(Some(llm::Chunk::Done(reply))) => {
                let cost = chat.model().cost(reply.usage);
                let rest = self.forward.as_mut().and_then(Forward::rest);
                self.say(rest, output).await;
                if let Some(reservation) = self.reservation.take() {
                    reservation.settle(reply.usage, cost.unwrap_or(0)).await;
                }
                if let Some(span) = self.span.take() {
                    set(&span, gen_ai::used(reply.usage, cost));
                    set(&span, gen_ai::answered(&reply));
                }
                if let Some(record) = self.record.take() {
                    record.keep(Rule::saying(&reply));
                }
                Ok(Some(wire::Chunk::Done(whole(reply, cost))))
            }
            Err(error) => {
                // Dropped, it settles what has come.
                self.reservation = None;
                if let Some(record) = self.record.take() {
                    record.keep(Rule::failing(&error));
                }
                let error = error.into();
                if let Some(span) = self.span.take() {
                    span.fail(word(&error));
                }
                Err(error)
            }
        }
    }

    /// Says some of the text to the caller. When nobody listens any more, or too much was said, the rest is the guest's
    /// alone.
    async fn say(&mut self, text: Option<String>, output: &mut Outputs) {
        if let Some(text) = text
            && output.say(Some(text), None).await.is_err()
        {
            self.forward = None;
        }
    }
}

impl Forward {
    /// Adds text, and gives what is enough to go out.
    fn add(&mut self, text: &str) -> Option<String> {
        self.waiting.push_str(text);
        let enough = !self.begun || self.waiting.len() >= FORWARD_BYTES || self.waiting.ends_with('\n');
        self.begun = true;
        enough.then(|| std::mem::take(&mut self.waiting))
    }

    fn rest(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.waiting)).filter(|rest| !rest.is_empty())
    }
}

impl Host for View<'_> {
    async fn chat(&mut self, asked: wire::Request) -> wasmtime::Result<Result<wire::Reply, Error>> {
        let mut talk = match self.begin(asked).await {
            Ok(talk) => talk,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            match talk.next(self.output).await {
                Ok(Some(wire::Chunk::Done(reply))) => return Ok(Ok(reply)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Err(llm::Error::Timeout.into())),
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    async fn open(&mut self, asked: wire::Request) -> wasmtime::Result<Result<Resource<wire::ChatStream>, Error>> {
        if let Err(error) = count("streams at one time", self.llm.open.len() as u64, self.llm.streams_max as u64) {
            return Ok(Err(error));
        }
        Ok(match self.begin(asked).await {
            Ok(talk) => {
                let talk = self.table.push(talk)?;
                self.llm.open.push(talk.rep());
                Ok(Resource::new_own(talk.rep()))
            }
            Err(error) => Err(error),
        })
    }

    async fn embed(&mut self, model: String, inputs: Vec<String>) -> wasmtime::Result<Result<wire::Embeddings, Error>> {
        Ok((*self).embed(&model, &inputs).await)
    }

    async fn models(&mut self) -> wasmtime::Result<Vec<String>> {
        let granted = self.llm.grants.llm.iter().flat_map(|grant| &grant.models);
        Ok(granted.filter(|alias| self.llm.models.find(alias).is_some()).cloned().collect())
    }
}

impl HostChatStream for View<'_> {
    async fn next(
        &mut self,
        stream: Resource<wire::ChatStream>,
    ) -> wasmtime::Result<Result<Option<wire::Chunk>, Error>> {
        let talk = self.table.get_mut(&Resource::<Talk>::new_borrow(stream.rep()))?;
        Ok(talk.next(self.output).await)
    }

    async fn drop(&mut self, stream: Resource<wire::ChatStream>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Talk>::new_own(stream.rep()))?;
        self.llm.open.retain(|place| *place != stream.rep());
        Ok(())
    }
}

fn set(span: &Open, attributes: Vec<(&'static str, String)>) {
    for (key, value) in attributes {
        span.set(key, value);
    }
}

/// The error as a word for records.
fn word(error: &Error) -> &'static str {
    match error {
        Error::NotGranted(_) => "not_granted",
        Error::BudgetExceeded(_) => "budget_exceeded",
        Error::RateLimited(_) => "rate_limited",
        Error::Invalid(_) => "invalid",
        Error::Provider(_) => "provider",
        Error::Timeout => "timeout",
    }
}

impl From<llm::Error> for Error {
    fn from(error: llm::Error) -> Self {
        match error {
            llm::Error::RateLimited(wait) => {
                Self::RateLimited(wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
            }
            llm::Error::Invalid(why) => Self::Invalid(why),
            llm::Error::Refused(why) => Self::Invalid(format!("`model` cannot be asked: {why}")),
            llm::Error::Provider(why) => Self::Provider(why),
            llm::Error::Timeout => Self::Timeout,
        }
    }
}
