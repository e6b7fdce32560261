//! What a request says about a subscription: some members about itself, one that is secret, the others its spec.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::request::read;
use crate::delivery::Deliveries;
use crate::id::WorkspaceId;
use crate::problem::Problem;
use crate::registry::{Error, Registry};
use crate::signature::Secret;
use crate::subscription::{Authentication, Spec};

/// The members that are not of the spec.
const ABOUT: &[&str] = &["name", "enabled", "secret"];

/// What a request says about a subscription; what it does not say is absent.
pub(super) struct Draft {
    pub(super) about: About,
    /// What is secret in `authentication`, which does not belong to the spec.
    pub(super) credential: Option<Secret>,
    spec: Map<String, Value>,
}

/// The members that are not of the spec.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) name: Option<String>,
    pub(super) enabled: Option<bool>,
    pub(super) secret: Option<String>,
}

impl Draft {
    pub(super) fn new(mut body: Map<String, Value>) -> Result<Self, Problem> {
        let credential = take_credential(&mut body)?;
        let (about, spec) = body.into_iter().partition::<Map<_, _>, _>(|(name, _)| ABOUT.contains(&name.as_str()));
        Ok(Self { about: read(Value::Object(about))?, credential, spec })
    }

    /// The spec of a new subscription. Its receiver must be one that could be reached.
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
        let says = |member: &str| self.spec.contains_key(member);
        let (says_url, says_authentication) = (says("url"), says("authentication"));
        members.extend(self.spec);
        members.retain(|_, value| !value.is_null());
        let spec: Spec = read(Value::Object(members))?;
        let reachable =
            |field, url| deliveries.check(url).map_err(|refusal| Problem::field(field, refusal.to_string()));
        if let (true, Some(url)) = (says_url, &spec.url) {
            reachable("url", url)?;
        }
        if let (true, Some(Authentication::OAuth2 { token_url, .. })) = (says_authentication, &spec.authentication) {
            reachable("authentication.token_url", token_url)?;
        }
        Ok(spec)
    }
}

/// Says why a spec names a transform that could not run.
pub(super) async fn check_transform(registry: &Registry, workspace: WorkspaceId, spec: &Spec) -> Result<(), Problem> {
    let Some(transform) = &spec.transform else { return Ok(()) };
    let flow = match registry.flow(workspace, &transform.flow).await {
        Err(error @ Error::UnknownFlow(_)) => return Err(Problem::field("transform.flow", error.to_string())),
        found => found?,
    };
    let wrong = |why: &str| Err(Problem::field("transform.flow", format!("`{}` {why}", flow.name)));
    match registry.is_transform(flow.id).await? {
        None => return wrong("has no version yet; upload a component that exports `flowgate:transform/transformer`"),
        Some(false) => return wrong("handles triggers; a transform exports `flowgate:transform/transformer` instead"),
        Some(true) => {}
    }
    match registry.resolve(flow.id, &transform.alias.as_str().into(), None).await {
        Err(error @ Error::UnknownAlias(_)) => Err(Problem::field("transform.alias", error.to_string())),
        found => Ok(found.map(drop)?),
    }
}

fn take_credential(body: &mut Map<String, Value>) -> Result<Option<Secret>, Problem> {
    let Some(Value::Object(authentication)) = body.get_mut("authentication") else { return Ok(None) };
    let kind = authentication.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(member) = Authentication::secret_member(kind) else { return Ok(None) };
    match authentication.remove(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(Secret::new(text))),
        Some(_) => Err(Problem::field(format!("authentication.{member}"), "must be a string")),
    }
}
