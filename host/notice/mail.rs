//! Notices by e-mail.

use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{Error, text};
use crate::store::Event;

/// How long the mail server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(url: &str, from: &str, to: &[String]) -> Result<Self, Error> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let transport = transport.map_err(|error| invalid("smtp_url", &error))?;
        if to.is_empty() {
            return Err(invalid("mail_to", &"names nobody"));
        }
        let to = to.iter().map(|one| one.parse::<Mailbox>().map_err(|error| invalid("mail_to", &error)));
        Ok(Self {
            transport: transport.timeout(Some(PATIENCE)).build(),
            from: from.parse().map_err(|error| invalid("mail_from", &error))?,
            to: to.collect::<Result<_, _>>()?,
        })
    }

    pub(super) async fn send(&self, events: &[Event]) -> Result<(), Error> {
        let mut message = Message::builder().from(self.from.clone()).subject(text::subject(events));
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message.header(ContentType::TEXT_PLAIN).body(text::body(events));
        let message = message.map_err(|error| Error::NotSent(error.to_string()))?;
        let sent = self.transport.send(message).await;
        sent.map(drop).map_err(|error| Error::NotSent(format!("the mail server did not take the notice: {error}")))
    }
}

fn invalid(field: &'static str, message: &dyn std::fmt::Display) -> Error {
    Error::Invalid { field, message: message.to_string() }
}
