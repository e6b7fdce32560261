//! Keeps the secrets of a flow out of what stays of an execution.

use crate::capability::Redactor;
use crate::trigger::{Failure, Reply};

use super::Stop;
use super::run::{End, Run};

/// Replaces secrets in what an execution comes to.
pub(super) fn end(redactor: &Redactor, end: &mut End) {
    match end {
        End::Reply(reply) => self::reply(redactor, reply),
        End::Failure(failure) => self::failure(redactor, failure),
        End::Stopped(Stop::Trap(text) | Stop::OverLimit(text) | Stop::Host(text)) => redactor.text(text),
        End::Stopped(_) => {}
    }
}

/// Replaces secrets in everything that a guest has said on the way.
pub(super) fn said<E>(redactor: &Redactor, run: &mut Run<E>) {
    if redactor.is_idle() {
        return;
    }
    for event in &mut run.events {
        redactor.text(&mut event.name);
        redactor.json(&mut event.data);
    }
    for line in &mut run.logs {
        redactor.text(&mut line.source);
        redactor.text(&mut line.message);
    }
    for span in &mut run.spans {
        redactor.text(&mut span.name);
        span.error.iter_mut().chain(span.attributes.values_mut()).for_each(|text| redactor.text(text));
    }
    run.answers.iter_mut().for_each(|answer| answer.redact(redactor));
}

fn reply(redactor: &Redactor, reply: &mut Reply) {
    reply.text.iter_mut().for_each(|text| redactor.text(text));
    reply.data.iter_mut().for_each(|data| redactor.json(data));
    if let Some(raw) = &mut reply.raw {
        redactor.bytes(&mut raw.body);
        raw.headers.retain(|field| !redactor.finds(&field.name));
        raw.headers.iter_mut().for_each(|field| redactor.bytes(&mut field.value));
    }
}

fn failure(redactor: &Redactor, failure: &mut Failure) {
    match failure {
        Failure::InvalidInput(error) => {
            let texts = [&mut error.field, &mut error.expected, &mut error.received, &mut error.message];
            texts.into_iter().for_each(|text| redactor.text(text));
        }
        Failure::Failed { message } | Failure::Retry { message, .. } => redactor.text(message),
    }
}
