//! What a request says about a hook: some members about the hook itself, the others its spec.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::request::{read, read_members};
use crate::delivery::Deliveries;
use crate::dialect::Dialect;
use crate::hook::Spec;
use crate::problem::Problem;
use crate::signature::Secret;

/// The members that are not of the spec.
const ABOUT: &[&str] = &["name", "path_id", "flow", "enabled", "secret"];

/// What a request says about a hook; what it does not say is absent.
pub(super) struct Draft {
    pub(super) about: About,
    /// Of `callback.basic`. It is a secret, so it does not belong to the spec.
    pub(super) callback_password: Option<Secret>,
    spec: Map<String, Value>,
}

/// The members that are not of the spec.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) name: Option<String>,
    /// Null takes the path id away.
    #[serde(deserialize_with = "said")]
    pub(super) path_id: Option<Option<String>>,
    pub(super) flow: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) secret: Option<String>,
}

impl Draft {
    pub(super) fn new(mut body: Map<String, Value>) -> Result<Self, Problem> {
        let callback_password = take_password(&mut body)?;
        let (about, spec) = body.into_iter().partition::<Map<_, _>, _>(|(name, _)| ABOUT.contains(&name.as_str()));
        Ok(Self { about: read(Value::Object(about))?, callback_password, spec })
    }

    /// The spec of a new hook. Its callback must be one that could be reached.
    pub(super) fn spec(self, deliveries: &Deliveries) -> Result<Spec, Problem> {
        self.merged(Map::new(), deliveries)
    }

    /// `before` with the members that the request has; null stands for the default.
    pub(super) fn spec_over(self, before: &Spec, deliveries: &Deliveries) -> Result<Spec, Problem> {
        match serde_json::to_value(before) {
            Ok(Value::Object(before)) => self.merged(before, deliveries),
            Ok(_) => unreachable!("a spec is an object"),
            Err(error) => Err(Problem::internal(&error)),
        }
    }

    fn merged(self, mut members: Map<String, Value>, deliveries: &Deliveries) -> Result<Spec, Problem> {
        let says_callback = self.spec.contains_key("callback");
        members.extend(self.spec);
        members.retain(|_, value| !value.is_null());
        if !members.contains_key("auth")
            && let Some(auth) = usual_auth(&members)
        {
            members.insert("auth".to_owned(), auth);
        }
        let spec: Spec = read_members(members)?;
        if let (true, Some(callback)) = (says_callback, &spec.callback) {
            deliveries.check(&callback.url)?;
        }
        Ok(spec)
    }
}

fn take_password(body: &mut Map<String, Value>) -> Result<Option<Secret>, Problem> {
    let basic = body.get_mut("callback").and_then(|callback| callback.get_mut("basic"));
    match basic.and_then(Value::as_object_mut).and_then(|basic| basic.remove("password")) {
        None => Ok(None),
        Some(Value::String(password)) => Ok(Some(Secret::new(password))),
        Some(_) => Err(Problem::field("callback.basic.password", "must be a string")),
    }
}

/// What the callers of a product prove themselves by; none in the native dialect, where it has to be said.
fn usual_auth(members: &Map<String, Value>) -> Option<Value> {
    let dialect = Dialect::deserialize(members.get("dialect")?).ok()?;
    Some(serde_json::from_str(dialect.auth()?).expect("the table of dialects has JSON"))
}

/// A member that is there, though it may be null.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl About {
    pub(super) fn take_secret(&mut self) -> Option<Secret> {
        self.secret.take().map(Secret::new)
    }
}
