//! What goes with a body that a transform has made.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

use super::{Authentication, Headers, Subscription};

/// What a request says of a body that is not as the event's own. JSON: `{"content_type":…,"headers":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reshaped {
    content_type: String,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
}

impl Subscription {
    /// What a transform wants said of the body that it has made, under the rule for a subscription's own headers. The error
    /// says what cannot be.
    pub fn reshaped(&self, content_type: String, headers: Vec<(String, String)>) -> Result<Reshaped, String> {
        if content_type.is_empty() || HeaderValue::from_str(&content_type).is_err() {
            return Err("the content type cannot be that of a body".to_owned());
        }
        let mut own = self.spec.scheme().redacts().headers;
        if let Some(Authentication::Header { name }) = &self.spec.authentication {
            own.extend(name.parse::<HeaderName>().ok());
        }
        let headers = headers.into_iter().collect::<Headers>();
        match headers.check(&own).into_iter().next() {
            Some(why) => Err(format!("the list of headers {why}")),
            None => Ok(Reshaped { content_type, headers }),
        }
    }
}

impl Reshaped {
    /// The header fields, the content type among them.
    pub(super) fn fields(&self) -> HeaderMap {
        let mut fields = self.headers.fields();
        fields.extend(HeaderValue::from_str(&self.content_type).ok().map(|value| (header::CONTENT_TYPE, value)));
        fields
    }
}
