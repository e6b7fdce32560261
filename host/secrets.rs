//! The secrets of one owner, such as a hook: several may live at once, so that each side can change over in its own time.

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::SecretId;
use crate::signature::Secret;

/// One secret, for a use that its owner names. Its JSON form shows the text, since it is what is sealed and what a customer
/// is shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held<U> {
    /// Names it without giving it away.
    pub id: SecretId,
    /// What it is for.
    #[serde(rename = "use")]
    pub for_use: U,
    /// The secret itself.
    #[serde(serialize_with = "expose", deserialize_with = "conceal")]
    pub secret: Secret,
    /// Since when it lives.
    pub created_at: Timestamp,
    /// From when on it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

fn expose<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

fn conceal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// The secrets of an owner, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secrets<U>(Vec<Held<U>>);

impl<U> Default for Secrets<U> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<U: Copy + PartialEq> Secrets<U> {
    /// Every secret of a use, the expired ones too.
    pub fn all(&self, for_use: U) -> impl Iterator<Item = &Held<U>> {
        self.0.iter().filter(move |held| held.for_use == for_use)
    }

    /// The secrets of a use that live at `now`, the newest first.
    pub fn live(&self, for_use: U, now: Timestamp) -> Vec<Secret> {
        let lives = |held: &&Held<U>| held.expires_at.is_none_or(|end| now < end);
        self.all(for_use).filter(lives).map(|held| held.secret.clone()).collect()
    }

    /// Whether there is one of this use, be it expired.
    pub fn has(&self, for_use: U) -> bool {
        self.all(for_use).next().is_some()
    }

    /// Adds a secret, from `now` on.
    pub fn add(&mut self, for_use: U, secret: Secret, now: Timestamp) -> Held<U> {
        let id = SecretId::at(now.unix_ms_unsigned());
        let held = Held { id, for_use, secret, created_at: now, expires_at: None };
        self.0.insert(0, held.clone());
        held
    }

    /// Lets every secret of a use end at `end`, or earlier where that was so before, and drops those that have ended.
    pub fn expire(&mut self, for_use: U, now: Timestamp, end: Timestamp) {
        for held in self.0.iter_mut().filter(|held| held.for_use == for_use) {
            held.expires_at = Some(held.expires_at.map_or(end, |before| before.min(end)));
        }
        self.0.retain(|held| held.expires_at.is_none_or(|end| now < end));
    }

    /// Puts a secret in the place of all others of its use, at once.
    pub fn replace(&mut self, for_use: U, secret: Secret, now: Timestamp) {
        self.expire(for_use, now, now);
        self.add(for_use, secret, now);
    }

    /// Removes the secret with this id. False when there is none.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|held| held.id.to_string() != id);
        self.0.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Use {
        Auth,
        Other,
    }

    fn at(s: i64) -> Timestamp {
        Timestamp::from_unix_ms(s * 1_000)
    }

    #[test]
    fn both_secrets_live_during_the_overlap_and_only_the_new_one_after() {
        let mut secrets = Secrets::default();
        secrets.add(Use::Auth, Secret::new("old"), at(0));
        secrets.add(Use::Other, Secret::new("other"), at(0));
        secrets.expire(Use::Auth, at(10), at(20));
        secrets.add(Use::Auth, Secret::new("new"), at(10));
        let texts = |now| secrets.live(Use::Auth, now).iter().map(|s| s.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(at(19)), ["new", "old"]);
        assert_eq!(texts(at(20)), ["new"]);
        assert_eq!(secrets.live(Use::Other, at(99)).len(), 1);
    }

    #[test]
    fn a_rotation_without_overlap_ends_the_old_secret_at_once() {
        let mut secrets = Secrets::default();
        let old = secrets.add(Use::Auth, Secret::new("old"), at(0));
        secrets.replace(Use::Auth, Secret::new("new"), at(10));
        assert!(!secrets.remove(&old.id.to_string()), "it is gone already");
        assert_eq!(secrets.all(Use::Auth).count(), 1);
    }
}
