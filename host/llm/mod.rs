//! Speaks to language models. Knows no guest.
//!
//! Flows know models by aliases; what an alias stands for is the operator's [`Options`]. Two formats reach nearly every
//! provider, `openai` and `anthropic`; a `mock` answers without one. What a call may spend is kept in [`Ledger`].
//!
//! The clients are our own, and small, since each crate for this brings an HTTP client with it: that would go out past the
//! address policy, the proxy, the deadlines and the bounds of [`crate::egress`]. What the operator configures as a
//! model's URL may be called whatever its address, but by this room only: the policy for everybody else does not change.
//!
//! Every call streams, also one whose reply is wanted as a whole, so there is one way to read a reply and it can be cut off
//! at any point. A request is sent again only before anything of a reply has come.

mod anthropic;
mod budget;
mod chat;
mod gather;
pub mod gen_ai;
mod mock;
mod openai;
mod options;
mod reply;
mod sse;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;
use crate::egress::{self, Client, Policy};
use crate::signature::Secret;

use self::mock::{Script, Tape};
use self::wire::Endpoint;

pub use self::budget::{Account, Bound, Exceeded, Ledger, Limits, Refused, Reservation, day};
pub use self::chat::{
    Choice, Chunk, Finish, Format, Message, Part, Reply, Request, Role, Tool, ToolCall, Usage, text_tokens,
};
pub use self::mock::Rule;
pub use self::options::{Mode, Options, Provider, Spec};
pub use self::reply::Chat;

/// Why a call was not answered. The texts are for people and hold no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The provider's own limit, with how long to wait where it says so.
    #[error("the provider's limit is reached")]
    RateLimited(Option<Duration>),
    /// The request is refused.
    #[error("{0}")]
    Invalid(String),
    /// The provider refuses the operator: the key, or the name of the model. Trying again does not help.
    #[error("{0}")]
    Refused(String),
    /// The provider failed.
    #[error("{0}")]
    Provider(String),
    /// There was no whole reply in time.
    #[error("no whole reply in time")]
    Timeout,
}

/// A model that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
#[error("`models.{alias}.{key}`: {reason}")]
pub struct Unusable {
    alias: String,
    key: &'static str,
    reason: String,
}

/// The models. Clones share them.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

struct Inner {
    models: BTreeMap<String, Arc<Model>>,
    clock: Clock,
}

/// What an alias stands for.
pub struct Model {
    alias: String,
    spec: Spec,
    backend: Backend,
}

enum Backend {
    Wire(Endpoint),
    Echo,
    Script(Script),
    Record(Tape),
    Replay(Tape),
}

impl Models {
    /// The models that are configured. `variable` reads the environment.
    pub fn new(
        options: &Options,
        egress: &egress::Options,
        clock: Clock,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Unusable> {
        let urls: Vec<_> = options.0.values().filter_map(Spec::base_url).collect();
        let client = Client::under(Policy::new(egress).vouching(&urls), egress);
        let mut models = BTreeMap::new();
        for (alias, spec) in &options.0 {
            let unusable = |(key, reason)| Unusable { alias: alias.clone(), key, reason };
            spec.check(alias).map_err(unusable)?;
            let backend = Backend::new(spec, &client, &clock, &variable).map_err(unusable)?;
            models.insert(alias.clone(), Arc::new(Model { alias: alias.clone(), spec: spec.clone(), backend }));
        }
        options.check().map_err(|(alias, key, reason)| Unusable { alias, key, reason })?;
        Ok(Self(Arc::new(Inner { models, clock })))
    }

    /// The model that an alias stands for.
    pub fn find(&self, alias: &str) -> Option<&Arc<Model>> {
        self.0.models.get(alias)
    }

    /// What a call may cost at most, whoever answers it in the end.
    pub fn bound(&self, model: &Model, request: &Request) -> Bound {
        let (input, mut bound) = (request.tokens(), Bound::default());
        for one in self.chain(model) {
            let output = u64::from(self.priced(one).max_tokens(request));
            let tokens = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
            let usage = Usage { input_tokens: tokens(input), output_tokens: tokens(output), cached_tokens: 0 };
            bound.tokens = bound.tokens.max(input + output);
            bound.micro_usd = bound.micro_usd.max(self.priced(one).cost(usage).unwrap_or(0));
        }
        bound
    }

    /// The first alias that could answer a call and whose price is not known.
    pub fn without_price<'a>(&'a self, model: &'a Model) -> Option<&'a str> {
        let mut chain = self.chain(model).map(|one| self.priced(one));
        chain.find(|one| one.cost(Usage::default()).is_none()).map(|one| one.alias.as_str())
    }

    /// Asks a model, and those that stand in for it while it fails. Returns when a reply begins.
    ///
    /// Cancel safe in that dropping the future ends the call; the provider may have seen it.
    pub async fn open(&self, model: &Model, request: &Request) -> Result<Chat, Error> {
        let mut failure = None;
        for one in self.chain(model) {
            match self.begin(one, request).await {
                Err(error) if !matches!(error, Error::Invalid(_)) => {
                    tracing::debug!(model = one.alias, %error, "a model did not answer");
                    // What the first one said is what its alias is known for.
                    failure.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(failure.unwrap_or_else(Error::unreadable))
    }

    /// Vectors for texts, in order, with what they took.
    pub async fn embed(&self, model: &Model, inputs: &[String]) -> Result<(Vec<Vec<f32>>, Usage), Error> {
        let estimate = inputs.iter().map(|input| 1 + text_tokens(input.len())).sum::<u64>();
        let estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
        let used = |input_tokens| Usage { input_tokens, ..Usage::default() };
        let hash = || hex::encode(Sha256::digest(json!(inputs).to_string()));
        match &model.backend {
            Backend::Wire(endpoint) if endpoint.provider == Provider::Anthropic => {
                Err(Error::Invalid("`model` has no embeddings: its provider offers none".to_owned()))
            }
            Backend::Wire(endpoint) => {
                let body = json!({"model": model.spec.model, "input": inputs});
                let answer = endpoint.ask("embeddings", &body).await?.whole().await;
                let (vectors, told) = openai::embeddings(&answer.map_err(|e| endpoint.clean(e))?, inputs.len())?;
                Ok((vectors, used(told.unwrap_or(estimate))))
            }
            Backend::Record(tape) => {
                let answer = Box::pin(self.embed(self.priced(model), inputs)).await?;
                tape.keep(&hash(), &inputs, &answer).await?;
                Ok(answer)
            }
            Backend::Replay(tape) => tape.find(&hash()).await,
            Backend::Echo | Backend::Script(_) => {
                Ok((inputs.iter().map(|input| mock::embed(input)).collect(), used(estimate)))
            }
        }
    }

    async fn begin(&self, model: &Arc<Model>, request: &Request) -> Result<Chat, Error> {
        match &model.backend {
            Backend::Wire(endpoint) => Chat::begin(model.clone(), endpoint, request).await,
            Backend::Echo => Ok(Chat::play(model.clone(), mock::echo(request, model.max_tokens(request)))),
            Backend::Script(script) => {
                let (answer, delay_ms) = match script.answer(request) {
                    Ok((reply, delay_ms)) => (Ok(reply), delay_ms),
                    Err((error, delay_ms)) => (Err(error), delay_ms),
                };
                if delay_ms > 0 {
                    let moment = self.0.clock.now().after(Duration::from_millis(delay_ms));
                    self.0.clock.sleep_until(moment).await;
                }
                Ok(Chat::play(model.clone(), answer?))
            }
            Backend::Record(tape) => {
                let of = self.find(&model.spec.of).ok_or_else(Error::unreadable)?;
                let chat = Box::pin(self.begin(of, request)).await?;
                Ok(chat.recorded(tape.clone(), request.clone()))
            }
            Backend::Replay(tape) => Ok(Chat::play(model.clone(), tape.find(&request.hash()).await?)),
        }
    }

    /// A model and those that stand in for it.
    fn chain<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = &'a Arc<Model>> {
        std::iter::once(&model.alias).chain(&model.spec.fallback).filter_map(|alias| self.find(alias))
    }

    /// The model that is really asked: what is recorded costs what the other one costs.
    fn priced<'a>(&'a self, model: &'a Model) -> &'a Model {
        match &model.backend {
            Backend::Record(_) => self.find(&model.spec.of).map_or(model, |of| of),
            _ => model,
        }
    }
}

impl Model {
    /// The alias.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// Who is asked.
    pub fn provider(&self) -> Provider {
        self.spec.provider
    }

    /// The provider's name of the model.
    pub fn name(&self) -> &str {
        if self.spec.model.is_empty() { &self.alias } else { &self.spec.model }
    }

    /// Tokens of a reply at most.
    pub fn max_tokens(&self, request: &Request) -> u32 {
        request.max_tokens.map_or(self.spec.max_tokens, |wanted| wanted.min(self.spec.max_tokens))
    }

    /// Millionths of a US dollar for a call, rounded up; none where there is no price. What runs on the operator's own
    /// machines costs nothing unless it has a price.
    pub fn cost(&self, usage: Usage) -> Option<u64> {
        let spec = &self.spec;
        let free = matches!(spec.provider, Provider::Ollama | Provider::Mock).then_some(0);
        let input = spec.input_micro_usd_per_mtok.or(free)?;
        let output = spec.output_micro_usd_per_mtok.or(free)?;
        let cached = spec.cached_micro_usd_per_mtok.unwrap_or(input);
        let fresh = usage.input_tokens.saturating_sub(usage.cached_tokens);
        let part = |tokens: u32, price: u64| u128::from(tokens) * u128::from(price);
        let cost = part(fresh, input) + part(usage.cached_tokens, cached) + part(usage.output_tokens, output);
        Some(u64::try_from(cost.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

impl Backend {
    fn new(
        spec: &Spec,
        client: &Client,
        clock: &Clock,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Result<Self, (&'static str, String)> {
        let Some(base) = spec.base_url() else {
            let tape = Tape(spec.folder.clone());
            return match spec.mode {
                Mode::Echo => Ok(Self::Echo),
                Mode::Record => Ok(Self::Record(tape)),
                Mode::Replay => Ok(Self::Replay(tape)),
                Mode::Script if !spec.rules.is_empty() => Ok(Self::Script(Script::new(spec.rules.clone()))),
                Mode::Script => {
                    let wrong = |reason| ("script", format!("{}: {reason}", spec.script.display()));
                    let text = std::fs::read_to_string(&spec.script).map_err(|error| wrong(error.to_string()))?;
                    Script::parse(&text).map(Self::Script).map_err(wrong)
                }
            };
        };
        Ok(Self::Wire(Endpoint {
            client: client.clone(),
            clock: clock.clone(),
            provider: spec.provider,
            base: base.as_str().trim_end_matches('/').to_owned(),
            key: key(spec, variable)?,
            timeout: Duration::from_millis(spec.timeout_ms),
        }))
    }
}

fn key(spec: &Spec, variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Secret>, (&'static str, String)> {
    let (key, text) = if !spec.key_env.is_empty() {
        let text = variable(&spec.key_env).ok_or_else(|| format!("the variable `{}` is not set", spec.key_env));
        ("key_env", text)
    } else if !spec.key_file.as_os_str().is_empty() {
        let text = std::fs::read_to_string(&spec.key_file);
        ("key_file", text.map_err(|error| format!("{}: {error}", spec.key_file.display())))
    } else {
        return Ok(None);
    };
    let text = text.map_err(|reason| (key, reason))?;
    let text = text.trim();
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err((key, "what is there is no key: one word of printable ASCII".to_owned()));
    }
    Ok(Some(Secret::new(text)))
}
