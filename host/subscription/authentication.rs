//! What a receiver asks for beside a signature.

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Url;

use super::spec::Invalid;

/// How we prove ourselves to a receiver. What is secret in it is not here but among the subscription's secrets; JSON takes
/// it in and does not give it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Authentication {
    /// `Authorization: Bearer …` (RFC 6750). Secret: `token`.
    Bearer {},
    /// `Authorization: Basic …` (RFC 7617). Secret: `password`.
    Basic {
        /// Without a colon.
        #[serde(alias = "username")]
        user: String,
    },
    /// A header. Secret: `value`.
    Header {
        /// Such as `x-api-key`.
        name: String,
    },
    /// A bearer token that is fetched with client credentials (RFC 6749 §4.4). Secret: `client_secret`.
    OAuth2 {
        /// Where tokens are had.
        token_url: Url,
        /// Who we are there.
        client_id: String,
        /// What the token is to be good for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// How the credentials are sent.
        #[serde(default)]
        client_auth: ClientAuth,
    },
    /// A client certificate. Secret: `private_key`, as PEM.
    MTls {
        /// The certificate and those that lead to its root, as PEM.
        certificate: String,
    },
}

/// How client credentials are sent (RFC 6749 §2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// By Basic authentication.
    #[default]
    Basic,
    /// In the body, for those who do not take the former.
    Body,
}

impl Authentication {
    /// The JSON members that hold what is secret, by type.
    const SECRETS: [(&'static str, &'static str); 5] = [
        ("bearer", "token"),
        ("basic", "password"),
        ("header", "value"),
        ("oauth2", "client_secret"),
        ("mtls", "private_key"),
    ];

    /// The JSON member that holds what is secret in a type of authentication; none for an unknown type.
    pub fn secret_member(kind: &str) -> Option<&'static str> {
        Self::SECRETS.iter().find(|(own, _)| *own == kind).map(|(_, member)| *member)
    }

    /// The word for it in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bearer {} => "bearer",
            Self::Basic { .. } => "basic",
            Self::Header { .. } => "header",
            Self::OAuth2 { .. } => "oauth2",
            Self::MTls { .. } => "mtls",
        }
    }

    /// Everything that cannot be as it is.
    pub(super) fn check(&self) -> Vec<Invalid> {
        let wrong = |field: &str, message: &str| vec![Invalid::new(format!("authentication.{field}"), message)];
        match self {
            Self::Basic { user } if user.contains(':') || HeaderValue::from_str(user).is_err() => {
                wrong("user", "has a colon or a control character")
            }
            Self::Header { name } => match name.parse::<HeaderName>() {
                Ok(name) => super::headers::refused(&name).map_or_else(Vec::new, |why| wrong("name", &why)),
                Err(_) => wrong("name", "is not the name of an HTTP header"),
            },
            Self::OAuth2 { client_id, .. } if client_id.is_empty() => wrong("client_id", "is empty"),
            Self::MTls { certificate } if !certificate.contains("-----BEGIN CERTIFICATE-----") => {
                wrong("certificate", "is not a certificate as PEM")
            }
            _ => Vec::new(),
        }
    }

    /// Whether a secret could be sent; the error says why not.
    pub(super) fn check_secret(&self, secret: &str) -> Result<(), &'static str> {
        match self {
            _ if secret.is_empty() => Err("is empty"),
            Self::MTls { .. } if !secret.contains("PRIVATE KEY-----") => Err("is not a private key as PEM"),
            Self::Bearer {} | Self::Header { .. } if HeaderValue::from_str(secret).is_err() => {
                Err("has a character that a header cannot hold")
            }
            _ => Ok(()),
        }
    }
}
