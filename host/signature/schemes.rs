//! The table of schemes. A new sender is a new row here, a vector under `tests/fixtures/signature/`, and no code.

use super::scheme::{Algorithm, Encoding, Unit};
use super::secret::KeyForm;

/// One named scheme.
#[derive(Debug)]
pub struct Row {
    /// What an `auth` entry calls it.
    pub name: &'static str,
    /// One line for a person.
    pub about: &'static str,
    /// Who defined it.
    pub source: &'static str,
    pub(super) preset: Preset,
}

/// How a row works. An `auth` entry may change what is written in it.
#[derive(Debug)]
pub(super) enum Preset {
    /// Anybody may call.
    None,
    /// The secret itself, in a query parameter or a header that the entry names.
    ApiKey,
    /// The secret itself, in `Authorization: Bearer`.
    Bearer,
    /// The secret itself, in `Authorization: Basic`.
    Basic,
    /// A keyed digest of the request, in a header.
    Hmac(HmacRow),
}

/// A keyed digest, as constant data. The fields have the meaning of the JSON fields of the same name.
#[derive(Debug, Clone, Copy)]
pub(super) struct HmacRow {
    pub(super) header: &'static str,
    pub(super) separator: Option<char>,
    pub(super) prefix: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) signed: &'static str,
    pub(super) timestamp_header: Option<&'static str>,
    pub(super) timestamp_prefix: Option<&'static str>,
    pub(super) timestamp_unit: Unit,
    pub(super) id_header: Option<&'static str>,
    pub(super) key: KeyForm,
    pub(super) key_prefix: &'static str,
    pub(super) tolerance_s: u32,
}

/// What most senders do; the rows say where they differ.
const HMAC: HmacRow = HmacRow {
    header: "x-signature",
    separator: None,
    prefix: "",
    algorithm: Algorithm::HmacSha256,
    encoding: Encoding::Hex,
    signed: "{body}",
    timestamp_header: None,
    timestamp_prefix: None,
    timestamp_unit: Unit::Seconds,
    id_header: None,
    key: KeyForm::Utf8,
    key_prefix: "",
    tolerance_s: 300,
};

/// Every scheme there is.
pub static SCHEMES: &[Row] = &[
    Row { name: "none", about: "anybody who knows the URL may call", source: "Flowgate", preset: Preset::None },
    Row {
        name: "api-key",
        about: "the secret in the query parameter or header that `query` or `header` names",
        source: "Flowgate",
        preset: Preset::ApiKey,
    },
    Row { name: "bearer", about: "`Authorization: Bearer <secret>`", source: "RFC 6750 §2.1", preset: Preset::Bearer },
    Row {
        name: "basic",
        about: "`Authorization: Basic`; the secret is the password of `user`, or `user:password`",
        source: "RFC 7617",
        preset: Preset::Basic,
    },
    Row {
        name: "hmac-sha256",
        about: "HMAC-SHA256 of the body in a header; every detail can be set",
        source: "RFC 2104",
        preset: Preset::Hmac(HMAC),
    },
    Row {
        name: "standard-webhooks",
        about: "Standard Webhooks 1.0, symmetric (v1)",
        source: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
        preset: Preset::Hmac(HmacRow {
            header: "webhook-signature",
            separator: Some(' '),
            prefix: "v1,",
            encoding: Encoding::Base64,
            signed: "{id}.{timestamp}.{body}",
            timestamp_header: Some("webhook-timestamp"),
            id_header: Some("webhook-id"),
            key: KeyForm::Base64,
            key_prefix: "whsec_",
            ..HMAC
        }),
    },
    Row {
        name: "github",
        about: "GitHub's `X-Hub-Signature-256`",
        source: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        preset: Preset::Hmac(HmacRow { header: "x-hub-signature-256", prefix: "sha256=", ..HMAC }),
    },
    Row {
        name: "stripe",
        about: "Stripe's `Stripe-Signature`; the key is the whole `whsec_…` text",
        source: "https://docs.stripe.com/webhooks#verify-manually",
        preset: Preset::Hmac(HmacRow {
            header: "stripe-signature",
            separator: Some(','),
            prefix: "v1=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            ..HMAC
        }),
    },
    Row {
        name: "slack",
        about: "Slack's `X-Slack-Signature`",
        source: "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        preset: Preset::Hmac(HmacRow {
            header: "x-slack-signature",
            prefix: "v0=",
            signed: "v0:{timestamp}:{body}",
            timestamp_header: Some("x-slack-request-timestamp"),
            ..HMAC
        }),
    },
    Row {
        name: "shopify",
        about: "Shopify's `X-Shopify-Hmac-SHA256`",
        source: "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
        preset: Preset::Hmac(HmacRow { header: "x-shopify-hmac-sha256", encoding: Encoding::Base64, ..HMAC }),
    },
];
