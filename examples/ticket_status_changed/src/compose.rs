//! Who is told, on which channel, in which words and when.

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{Channel, Input, Person, Priority, Status};

/// On the person's own clock. E-mail is not bound by it, and neither is what is urgent.
const QUIET_FROM_HOUR: i8 = 21;
const QUIET_UNTIL_HOUR: i8 = 8;
/// One part of a text message in the GSM alphabet.
const SMS_CHARS_MAX: usize = 160;

/// One message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Message {
    pub(crate) to: String,
    role: Role,
    channel: Channel,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    body: String,
    /// The end of the person's quiet hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Requester,
    Assignee,
    Watcher,
    Manager,
}

/// The messages of one change. Nobody is told of what they did themselves, and no channel is used twice.
pub(crate) fn messages(input: &Input, escalation: Option<&str>) -> Vec<Message> {
    let ticket = &input.ticket;
    let watchers = ticket.watchers.iter().map(|person| (Role::Watcher, person));
    let manager = ticket.manager.iter().filter(|_| escalation.is_some()).map(|person| (Role::Manager, person));
    let people = [(Role::Requester, &ticket.requester)].into_iter();
    let people =
        people.chain(ticket.assignee.iter().map(|person| (Role::Assignee, person))).chain(watchers).chain(manager);
    let mut messages: Vec<Message> = Vec::new();
    for (role, person) in people.filter(|(role, person)| *role == Role::Manager || person.name != input.changed_by) {
        for channel in &person.channels {
            if messages.iter().all(|message| message.channel != *channel) {
                messages.push(message(input, role, person, channel, escalation));
            }
        }
    }
    messages
}

fn message(input: &Input, role: Role, person: &Person, channel: &Channel, escalation: Option<&str>) -> Message {
    let line = line(input, role, escalation);
    let subject = format!("[{}] {}", input.ticket.id, input.ticket.subject);
    let (subject, body) = match channel {
        Channel::Email { .. } => (Some(subject), letter(input, person, &line)),
        Channel::Sms { .. } => (None, shortened(&format!("{}: {line}", input.ticket.id), SMS_CHARS_MAX)),
        Channel::Chat { .. } => (None, format!("*{subject}* {line}")),
    };
    let not_before = match channel {
        Channel::Email { .. } => None,
        _ if input.ticket.priority == Priority::Urgent => None,
        _ => quiet_until(input.changed_at, person.utc_offset_minutes),
    };
    Message { to: person.name.clone(), role, channel: channel.clone(), subject, body, not_before }
}

fn line(input: &Input, role: Role, escalation: Option<&str>) -> String {
    if let (Role::Manager, Some(reason)) = (role, escalation) {
        let assignee = input.ticket.assignee.as_ref().map_or("nobody", |person| person.name.as_str());
        return format!("This ticket needs you, since {reason}. It is with {assignee}.");
    }
    let by = &input.changed_by;
    match (role, input.to) {
        (Role::Requester, Status::Pending) => "We need something from you before we can go on.".to_owned(),
        (Role::Requester, Status::Solved) => "We believe that this is solved. If it is not, just answer.".to_owned(),
        (Role::Requester, Status::Closed) => "This ticket is closed now. Thank you for your patience.".to_owned(),
        (Role::Requester, Status::OnHold) => "We are waiting for somebody else and will come back to you.".to_owned(),
        (Role::Requester, Status::New | Status::Open) => "We are working on it.".to_owned(),
        (_, to) => format!("{by} changed it from {} to {}.", crate::name(input.from), crate::name(to)),
    }
}

fn letter(input: &Input, person: &Person, line: &str) -> String {
    let first_name = person.name.split(' ').next().unwrap_or_default();
    let comment = input
        .comment
        .as_ref()
        .map(|comment| format!("\n\n{} wrote:\n> {}", input.changed_by, comment.replace('\n', "\n> ")));
    format!("Hello {first_name},\n\n{line}{}\n\nTicket {}", comment.unwrap_or_default(), input.ticket.id)
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max - 3).collect();
    format!("{}...", kept.trim_end())
}

/// When the quiet hours that hold at `now` end; none when they do not hold.
fn quiet_until(now: Timestamp, utc_offset_minutes: i32) -> Option<Timestamp> {
    let offset = Offset::from_seconds(utc_offset_minutes.checked_mul(60)?).ok()?;
    let local = now.to_zoned(TimeZone::fixed(offset));
    let day = match local.hour() {
        QUIET_FROM_HOUR.. => SignedDuration::from_hours(24),
        hour if hour < QUIET_UNTIL_HOUR => SignedDuration::ZERO,
        _ => return None,
    };
    let into_day = SignedDuration::from_hours(local.hour().into())
        + SignedDuration::from_mins(local.minute().into())
        + SignedDuration::from_secs(local.second().into());
    let wait = day + SignedDuration::from_hours(QUIET_UNTIL_HOUR.into()) - into_day;
    Timestamp::from_second(now.as_second()).ok()?.checked_add(wait).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn quiet_hours_end_in_the_persons_own_morning() {
        assert_eq!(quiet_until(at("2026-03-04T22:30:15Z"), 0), Some(at("2026-03-05T08:00:00Z")));
        assert_eq!(quiet_until(at("2026-03-04T22:30:00Z"), 120), Some(at("2026-03-05T06:00:00Z")));
        assert_eq!(quiet_until(at("2026-03-04T20:30:00Z"), 0), None);
        assert_eq!(quiet_until(at("2026-03-04T20:30:00Z"), 330), Some(at("2026-03-05T02:30:00Z")));
    }

    #[test]
    fn a_text_message_fits_into_one_part() {
        assert_eq!(shortened("short", 160), "short");
        let long = shortened(&"wörter ".repeat(40), SMS_CHARS_MAX);
        assert!(long.chars().count() <= SMS_CHARS_MAX && long.ends_with("..."));
    }
}
