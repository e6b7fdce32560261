//! Typed identifiers.
//!
//! An id is a prefix and a UUIDv7 in 32 lowercase hex digits, for example `exe_019a9f3c0d5c7e0a8f7e2b1d4c6a5b3e`. Ids of
//! one kind sort by the time at which they were made, and a double click selects a whole one.
//!
//! A version is named by the digest of its bytes instead: `sha256:` and 64 hex digits.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// What an id names: the type behind the prefix.
pub trait Kind: 'static {
    /// The letters before the underscore.
    const PREFIX: &'static str;
}

/// The identifier of one thing of kind `K`.
pub struct Id<K> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

/// Declares the kinds: a marker type and an alias for each.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $alias:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }
        #[doc = concat!("The id of a `", stringify!($kind), "`: `", $prefix, "_…`.")]
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// A tenant.
    Workspace WorkspaceId "wsp";
    /// A name that owns versions, aliases and config.
    Flow FlowId "flw";
    /// An inbound webhook URL.
    Hook HookId "hok";
    /// One trigger given to one version.
    Execution ExecutionId "exe";
    /// One inbound request, accepted or refused.
    Request RequestId "trg";
    /// An outgoing webhook.
    Subscription SubscriptionId "sub";
    /// Something that happened.
    Event EventId "evt";
    /// One message to one receiver.
    Delivery DeliveryId "dlv";
    /// One HTTP request of a delivery.
    Attempt AttemptId "att";
    /// One API key.
    Key KeyId "key";
    /// One secret of a hook or a subscription.
    Secret SecretId "sec";
    /// One unit of background work.
    Job JobId "job";
}

impl<K: Kind> Id<K> {
    /// A new id made at `unix_ms` (milliseconds since 1970). The other 74 bits are random.
    pub fn at(unix_ms: u64) -> Self {
        let (seconds, nanos) = (unix_ms / 1_000, (unix_ms % 1_000) as u32 * 1_000_000);
        let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
        Self::from_uuid(Uuid::new_v7(time))
    }

    /// The id with these 16 bytes, as the store keeps them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_uuid(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes behind the prefix.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.uuid.as_bytes()
    }

    const fn from_uuid(uuid: Uuid) -> Self {
        Self { uuid, kind: PhantomData }
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.uuid.simple())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id of this kind is `{prefix}_` and 32 hex digits")]
pub struct BadId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl<K: Kind> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId { prefix: K::PREFIX };
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or(bad.clone())?;
        // `Uuid` reads several spellings; an id has one, so that equal ids are equal texts.
        if digits.len() != 32 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(bad);
        }
        Uuid::try_parse(digits).map(Self::from_uuid).map_err(|_| bad)
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The sha-256 of a component's bytes; names a version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hex digits without `sha256:`, for file names.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hex digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let digits = text.strip_prefix("sha256:").ok_or(BadDigest)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadDigest)?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A text cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 63 of the characters a-z, 0-9, `-` and `_`, and begins with a letter or digit")]
pub struct BadName;

/// Checks a name that a person gives to a flow, a hook or an alias. Names stand in URLs and commands, so they are plain.
pub fn check_name(name: &str) -> Result<(), BadName> {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let first = name.as_bytes().first().is_some_and(plain);
    let all = name.bytes().all(|b| plain(&b) || b == b'-' || b == b'_');
    if first && all && name.len() <= 63 { Ok(()) } else { Err(BadName) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = ExecutionId::at(1_763_654_400_123);
        assert_eq!(id.to_string().parse::<ExecutionId>(), Ok(id));
        assert_eq!(ExecutionId::from_bytes(*id.as_bytes()), id);
    }

    #[test]
    fn ids_sort_by_time() {
        let earlier = HookId::at(1_000);
        let later = HookId::at(1_001);
        assert!(earlier < later && earlier.to_string() < later.to_string());
    }

    #[test]
    fn only_one_spelling_is_read() {
        let id = FlowId::at(5).to_string();
        for wrong in [
            id.to_uppercase(),
            id.replace("flw", "hok"),
            id.replace('_', ""),
            id[..id.len() - 1].to_owned(),
            format!("{id}0"),
            "flw_".to_owned(),
        ] {
            assert!(wrong.parse::<FlowId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "support-bot", "3_x"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert_eq!(check_name(bad), Err(BadName), "{bad}");
        }
    }

    #[test]
    fn digests_carry_their_algorithm() {
        let digest = Digest::from_bytes([7; 32]);
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.hex().parse::<Digest>(), Err(BadDigest));
    }
}

#[cfg(test)]
mod fuzz {
    use flowgate_fuzz::fuzz;

    use super::*;

    #[test]
    fn what_is_read_is_printed_as_it_was() {
        let ids = ["hok_019a9f3c0d5c7e0a8f7e2b1d4c6a5b3e", "flw_019a9f3c0d5c7e0a8f7e2b1d4c6a5b3e"];
        let digest = Digest::from_bytes([7; 32]).to_string();
        fuzz!(|grow| {
            let text = grow.text(&ids);
            assert!(text.parse::<HookId>().is_err() || text.parse::<HookId>().unwrap().to_string() == text);
            let text = grow.text(&[&digest]);
            assert!(text.parse::<Digest>().is_ok_and(|read| read.to_string() == text.to_lowercase()) || text != digest);
            let name = grow.text(&["support-bot", "3_x"]);
            assert!(
                check_name(&name).is_err() || url::form_urlencoded::byte_serialize(name.as_bytes()).eq([&name[..]])
            );
        });
    }
}
