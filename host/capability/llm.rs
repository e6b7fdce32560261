//! `flowgate:flow/llm`: language models, for flows that were granted them.
//!
//! A call is let through when the flow was granted the alias and what it may cost at most fits into the flow's budgets, and
//! into those of the flows that called it; what it did cost is settled when the reply is whole, or when the guest lets go of it.
//! A guest that stops reading stops the provider too, since nothing is read ahead.

mod convert;
mod v0_1;
mod v0_2;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bindings::v0_1::flow::llm as wire;
use crate::bindings::v0_1::flow::llm::Error;
use crate::llm::{self, Account, Bound, Chat, Ledger, Model, Models, Refused, Reservation, Rule, Usage, gen_ai};
use crate::store::LlmUsage;

use self::convert::{request, told, whole};
use super::output::Outputs;
use super::recorder::{Answered, LlmAnswer, Place, Recorder};
use super::spans::{Open, Spans};
use super::{Grants, Options, Services};

pub(super) use self::v0_1::{HasLlm, OpenTalks, View};

/// Texts of one call of `embed`, as the providers have it.
const INPUTS_MAX: usize = 2_048;

/// Bytes of forwarded text that go out together, but for the first, which goes at once. Each output is a row, so it is not
/// each token that is one.
const FORWARD_BYTES: usize = 32;

/// The models as one execution may ask them. Clones share what it asked and spent.
#[derive(Clone)]
pub(super) struct Llm(Arc<Inner>);

struct Inner {
    models: Models,
    ledger: Ledger,
    /// None when the flow is only tried.
    account: Option<Account>,
    grants: Arc<Grants>,
    output: Outputs,
    spans: Spans,
    calls: AtomicU32,
    calls_max: u32,
    streams: Arc<Semaphore>,
    streams_max: usize,
    recorder: Recorder,
}

/// A reply that is on its way to the guest.
struct Talk {
    chat: Chat,
    /// None when it is settled.
    reservation: Option<Reservation>,
    span: Option<Open>,
    forward: Option<Forward>,
    /// Its place among those that are read as they come.
    _place: Option<OwnedSemaphorePermit>,
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
struct Forward {
    output: Outputs,
    waiting: String,
    begun: bool,
}

impl Llm {
    pub(super) fn new(
        options: &Options,
        services: &Services,
        account: Option<Account>,
        grants: Arc<Grants>,
        output: Outputs,
        spans: Spans,
        recorder: Recorder,
    ) -> Self {
        let (calls_max, streams_max) = (options.llm_calls_max, options.llm_streams_max);
        Self(Arc::new(Inner {
            models: services.models.clone(),
            ledger: services.ledger.clone(),
            account,
            grants,
            output,
            spans,
            calls: AtomicU32::new(0),
            calls_max,
            streams: Arc::new(Semaphore::new(streams_max)),
            streams_max,
            recorder,
        }))
    }

    /// What the execution spent so far.
    pub(super) fn usage(&self) -> LlmUsage {
        self.0.account.as_ref().map(Account::usage).unwrap_or_default()
    }

    fn granted(&self, alias: &str) -> Result<(&Account, Arc<Model>), Error> {
        let not = |why: &str| Error::NotGranted(format!("`{alias}` {why}"));
        let account = self.0.account.as_ref();
        let account = account.ok_or_else(|| not("cannot be asked while the flow is only tried"))?;
        let grant = self.0.grants.llm.as_ref().filter(|grant| grant.models.iter().any(|model| model == alias));
        grant.ok_or_else(|| not("was not granted to the flow"))?;
        let models = &self.0.models;
        let model = models.find(alias).ok_or_else(|| not("is granted, but there is no model of this name"))?;
        if let Some(alias) = models.without_price(model).filter(|_| account.counts_money()) {
            let why =
                format!("`model` has a budget in money, and there is no price for `{alias}` in the configuration");
            return Err(Error::Invalid(why));
        }
        Ok((account, model.clone()))
    }

    async fn reserve(
        &self,
        account: &Account,
        bound: Bound,
        model: &Model,
        least: Usage,
    ) -> Result<Reservation, Error> {
        let one_more = |calls| (calls < self.0.calls_max).then_some(calls + 1);
        let calls = self.0.calls.fetch_update(Relaxed, Relaxed, one_more);
        calls.map_err(|used| spent("calls per execution", used.into(), self.0.calls_max.into()))?;
        let reserved = self.0.ledger.reserve(account, bound, model.alias(), least).await;
        reserved.map_err(|refused| {
            // Only those that are made are counted.
            self.0.calls.fetch_sub(1, Relaxed);
            match refused {
                Refused::Exceeded(budget) => {
                    let (limit, used, wanted) = (budget.limit, budget.used, budget.wanted);
                    Error::BudgetExceeded(wire::Budget { name: budget.name.to_owned(), limit, used, wanted })
                }
                Refused::Store(error) => {
                    tracing::warn!(%error, "what a flow has spent on models cannot be read");
                    Error::Provider("the host could not read what the flow has spent".to_owned())
                }
            }
        })
    }

    /// The whole reply.
    async fn chat(&self, asked: wire::Request) -> Result<wire::Reply, Error> {
        let mut talk = self.begin(asked, None).await?;
        loop {
            match talk.next().await? {
                Some(wire::Chunk::Done(reply)) => return Ok(reply),
                Some(_) => {}
                None => return Err(llm::Error::Timeout.into()),
            }
        }
    }

    /// A reply that is read as it comes.
    async fn open(&self, asked: wire::Request) -> Result<Talk, Error> {
        let max = self.0.streams_max as u64;
        let place = self.0.streams.clone().try_acquire_owned();
        let place = place.map_err(|_| spent("streams at one time", max, max))?;
        self.begin(asked, Some(place)).await
    }

    async fn begin(&self, asked: wire::Request, place: Option<OwnedSemaphorePermit>) -> Result<Talk, Error> {
        let span = self.0.spans.open("llm.chat");
        match self.begun(asked, &span).await {
            Ok(talk) => Ok(Talk { span: Some(span), _place: place, ..talk }),
            Err(error) => {
                span.fail(word(&error));
                Err(error)
            }
        }
    }

    async fn begun(&self, asked: wire::Request, span: &Open) -> Result<Talk, Error> {
        let (account, model) = self.granted(&asked.model)?;
        set(span, gen_ai::asked("chat", &model));
        let forward = asked.forward;
        let request = request(asked).map_err(Error::Invalid)?;
        let bound = self.0.models.bound(&model, &request);
        set(span, gen_ai::chat(&model, &request, bound));
        // Should the call be cut off before the provider says what it took, it took at least this.
        let least = Usage { input_tokens: u32::try_from(request.tokens()).unwrap_or(u32::MAX), ..Usage::default() };
        let mut reservation = self.reserve(account, bound, &model, least).await?;
        reservation.note(least, model.cost(least).unwrap_or(0));
        let place = self.0.recorder.begin();
        let record = place.map(|place| Record { place, model: model.alias().to_owned(), forward });
        match self.0.models.open(&model, &request).await {
            Ok(chat) => {
                let forward = forward.then(|| Forward::to(self.0.output.clone()));
                Ok(Talk { chat, reservation: Some(reservation), span: None, forward, _place: None, record })
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

    async fn embed(&self, alias: &str, inputs: &[String]) -> Result<wire::Embeddings, Error> {
        let span = self.0.spans.open("llm.embed");
        let embedded = self.embedded(alias, inputs, &span).await;
        embedded.inspect_err(|error| span.fail(word(error)))
    }

    async fn embedded(&self, alias: &str, inputs: &[String], span: &Open) -> Result<wire::Embeddings, Error> {
        let (account, model) = self.granted(alias)?;
        set(span, gen_ai::asked("embeddings", &model));
        if inputs.is_empty() || inputs.len() > INPUTS_MAX || inputs.iter().any(String::is_empty) {
            return Err(Error::Invalid(format!("`inputs` must be 1 to {INPUTS_MAX} texts, none of them empty")));
        }
        let tokens = inputs.iter().map(|input| 1 + llm::text_tokens(input.len())).sum::<u64>();
        let usage = Usage { input_tokens: u32::try_from(tokens).unwrap_or(u32::MAX), ..Usage::default() };
        let bound = Bound { tokens, micro_usd: model.cost(usage).unwrap_or(0) };
        let mut reservation = self.reserve(account, bound, &model, usage).await?;
        reservation.note(usage, bound.micro_usd);
        match self.0.models.embed(&model, inputs).await {
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

    fn models(&self) -> Vec<String> {
        let granted = self.0.grants.llm.iter().flat_map(|grant| &grant.models);
        granted.filter(|alias| self.0.models.find(alias).is_some()).cloned().collect()
    }
}

fn spent(name: &str, used: u64, limit: u64) -> Error {
    Error::BudgetExceeded(wire::Budget { name: name.to_owned(), limit, used, wanted: 1 })
}

impl Talk {
    /// The next piece, for the guest and, if it wishes, for its caller.
    async fn next(&mut self) -> Result<Option<wire::Chunk>, Error> {
        match self.chat.next().await {
            Ok(None) => Ok(None),
            Ok(Some(llm::Chunk::Text(text))) => {
                let so_far = self.chat.so_far();
                let cost = self.chat.model().cost(so_far).unwrap_or(0);
                self.reservation.iter_mut().for_each(|reservation| reservation.note(so_far, cost));
                let ready = self.forward.as_mut().and_then(|forward| forward.add(&text));
                self.say(ready).await;
                Ok(Some(wire::Chunk::Text(text)))
            }
            Ok(Some(llm::Chunk::ToolCall(call))) => Ok(Some(wire::Chunk::ToolCall(call.into()))),
            Ok(Some(llm::Chunk::Done(reply))) => {
                let cost = self.chat.model().cost(reply.usage);
                let rest = self.forward.as_mut().and_then(Forward::rest);
                self.say(rest).await;
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
    async fn say(&mut self, text: Option<String>) {
        if let (Some(text), Some(forward)) = (text, &self.forward)
            && forward.output.say(Some(text), None).await.is_err()
        {
            self.forward = None;
        }
    }
}

impl Forward {
    fn to(output: Outputs) -> Self {
        Self { output, waiting: String::new(), begun: false }
    }

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
