//! Tells the operator of deliveries that fail, by ways that do not depend on them: an e-mail, a webhook of the server's own.
//!
//! Each channel reads the log of events by a cursor of its own and moves it only after a notice has gone out, so what
//! happened while the mail server was away, or this one, is told later. What happens between two notices goes into one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::egress::Client;
use crate::signature::Secret;
use crate::store::{self, Event, Store};

mod mail;
mod masked;
mod text;
mod webhook;

/// What an operator wants to know.
const TOLD: &[&str] = &["delivery.failing", "delivery.recovered", "delivery.exhausted", "subscription.disabled"];

/// Events that one look at the log brings.
const EVENTS_MAX: u32 = 500;

/// Events of no interest after which the place is kept, so that a restart does not read all of them again.
const PLACE_EVERY: u64 = 5_000;

/// Seconds until the second, third, … attempt to send a notice; the last one counts on.
const AGAIN_S: &[u64] = &[1, 10, 60, 300, 900];

/// Who is told, and how. Written out without what gives access.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The mail server: `smtps://user:password@host`, or `smtp://host:587?tls=required` for STARTTLS, or `smtp://host:25`
    /// without TLS. Empty for no mail.
    #[serde(serialize_with = "masked::user")]
    pub smtp_url: String,
    /// The sender's address.
    pub mail_from: String,
    /// The receivers' addresses.
    pub mail_to: Vec<String>,
    /// Where a webhook tells of them, signed by Standard Webhooks v1. Empty for none.
    #[serde(serialize_with = "masked::user_and_query")]
    pub webhook_url: String,
    /// Its secret, `whsec_…`.
    #[serde(serialize_with = "masked::whole")]
    pub webhook_secret: String,
    /// Seconds between two notices at least.
    pub period_s: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            smtp_url: String::new(),
            mail_from: "flowgate@localhost".to_owned(),
            mail_to: Vec::new(),
            webhook_url: String::new(),
            webhook_secret: String::new(),
            period_s: 300,
        }
    }
}

impl fmt::Debug for Options {
    /// Without what gives access.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("mail_to", &self.mail_to)
            .field("period_s", &self.period_s)
            .finish_non_exhaustive()
    }
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be.
    #[error("`notice.{field}`: {message}")]
    Invalid {
        /// The setting.
        field: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A notice did not go out.
    #[error("{0}")]
    NotSent(String),
    /// The store fails.
    #[error("the store fails")]
    Store(#[from] store::Error),
}

/// The channels that are configured. Clones share them.
#[derive(Clone)]
pub struct Notices(Arc<Inner>);

struct Inner {
    store: Store,
    clock: Clock,
    channels: Vec<Channel>,
    period: Duration,
}

enum Channel {
    Mail(Box<mail::Mail>),
    Webhook(Box<webhook::Webhook>),
}

impl Channel {
    /// The cursor's name.
    fn name(&self) -> &'static str {
        match self {
            Self::Mail(_) => "notice/mail",
            Self::Webhook(_) => "notice/webhook",
        }
    }

    async fn send(&self, events: &[Event]) -> Result<(), Error> {
        match self {
            Self::Mail(mail) => mail.send(events).await,
            Self::Webhook(webhook) => webhook.send(events).await,
        }
    }
}

impl Notices {
    /// The channels of `options`. [`Error::Invalid`] when one of them can never work.
    pub fn new(store: Store, clock: Clock, client: Client, options: &Options) -> Result<Self, Error> {
        let mut channels = Vec::new();
        if !options.smtp_url.is_empty() {
            channels.push(Channel::Mail(Box::new(mail::Mail::new(
                &options.smtp_url,
                &options.mail_from,
                &options.mail_to,
            )?)));
        }
        if !options.webhook_url.is_empty() {
            let secret = Secret::new(options.webhook_secret.clone());
            let webhook = webhook::Webhook::new(&options.webhook_url, secret, client, clock.clone())?;
            channels.push(Channel::Webhook(Box::new(webhook)));
        }
        Ok(Self(Arc::new(Inner { store, clock, channels, period: Duration::from_secs(options.period_s) })))
    }

    /// Tells what happens, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let channels = self.0.channels.iter().map(|channel| self.0.serve(channel));
        stop.run_until_cancelled(futures_util::future::join_all(channels)).await;
    }
}

impl Inner {
    async fn serve(&self, channel: &Channel) {
        let mut seen = self.store.events_seen();
        let mut failures = 0;
        loop {
            let wait = match self.tell(channel, &mut seen).await {
                Ok(()) => {
                    failures = 0;
                    self.period
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(channel = channel.name(), error, "a notice was not sent");
                    failures += 1;
                    Duration::from_secs(AGAIN_S[failures.min(AGAIN_S.len()) - 1])
                }
            };
            self.clock.sleep_until(self.clock.now().after(wait)).await;
        }
    }

    /// Waits until something is to be told, and tells it.
    async fn tell(&self, channel: &Channel, seen: &mut watch::Receiver<u64>) -> Result<(), Error> {
        let mut kept = self.store.cursor(channel.name()).await?;
        let (mut at, mut found) = (kept, Vec::new());
        loop {
            seen.mark_unchanged();
            let events = self.store.events_after(at, EVENTS_MAX).await?;
            let Some(newest) = events.last() else {
                if !found.is_empty() {
                    break;
                }
                if at > kept + PLACE_EVERY {
                    self.store.cursor_move(channel.name(), at).await?;
                    kept = at;
                }
                if seen.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            at = newest.seq;
            found.extend(events.into_iter().filter(|event| TOLD.contains(&event.r#type.as_str())));
            if found.len() >= EVENTS_MAX as usize {
                break;
            }
        }
        channel.send(&found).await?;
        Ok(self.store.cursor_move(channel.name(), at).await?)
    }
}
