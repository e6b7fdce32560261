//! The table of schemes. A new sender is a new row here, a vector under `tests/fixtures/signature/`, and no code.

use super::algorithm::Algorithm;
use super::handshake::Handshake;
use super::scheme::Encoding;
use super::secret::KeyForm;
use super::stamp::Unit;

/// One named scheme.
#[derive(Debug)]
pub struct Row {
    /// What an `auth` entry calls it.
    pub name: &'static str,
    /// One line for a person.
    pub about: &'static str,
    /// Who defined it: a page or a standard.
    pub source: &'static str,
    /// The year and month in which the source said so.
    pub seen: &'static str,
    /// Where the sender names a delivery, the same again when it is repeated. Only what no other delivery has is one: an id
    /// of the webhook, or of what it tells of, is not.
    pub event_id: Option<IdPlace>,
    pub(super) handshake: Option<Handshake>,
    pub(super) preset: Preset,
}

/// Where an id is in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdPlace {
    /// In this header.
    Header(&'static str),
    /// In the member of the JSON body that this pointer names (RFC 6901).
    Pointer(&'static str),
}

/// How a row works. An `auth` entry may change what is written in it.
#[derive(Debug)]
pub(super) enum Preset {
    /// Anybody may call.
    None,
    /// The secret itself, in a query parameter or a header that the entry names.
    ApiKey,
    /// The secret itself, in this header.
    Token(&'static str),
    /// The secret itself, in `Authorization: Bearer`.
    Bearer,
    /// The secret itself, in `Authorization: Basic`.
    Basic,
    /// A signature of the request, in a header or in the body.
    Signing(SigningRow),
    /// A signature of what it says itself that it covers.
    HttpMessage,
    /// A JSON Web Token.
    Jwt,
}

/// A signature, as constant data. The fields have the meaning of the JSON fields of the same name.
#[derive(Debug, Clone, Copy)]
pub(super) struct SigningRow {
    pub(super) header: Option<&'static str>,
    pub(super) signature_pointer: Option<&'static str>,
    pub(super) header_prefix: &'static str,
    pub(super) separator: Option<char>,
    pub(super) prefix: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) signed: &'static str,
    pub(super) url_any_port: bool,
    pub(super) timestamp_header: Option<&'static str>,
    pub(super) timestamp_prefix: Option<&'static str>,
    pub(super) timestamp_pointer: Option<&'static str>,
    pub(super) timestamp_unit: Unit,
    pub(super) id_header: Option<&'static str>,
    pub(super) key: KeyForm,
    pub(super) key_prefixes: &'static [&'static str],
    pub(super) tolerance_s: u32,
    pub(super) accept_compact_json: bool,
    /// Headers that begin with the first may come under names that begin with the second instead. Not for entries, which
    /// can be two.
    pub(super) renamed: Option<(&'static str, &'static str)>,
}

/// What most senders do; the rows say where they differ.
const PLAIN: SigningRow = SigningRow {
    header: Some("x-signature"),
    signature_pointer: None,
    header_prefix: "",
    separator: None,
    prefix: "",
    algorithm: Algorithm::HmacSha256,
    encoding: Encoding::Hex,
    signed: "{body}",
    url_any_port: false,
    timestamp_header: None,
    timestamp_prefix: None,
    timestamp_pointer: None,
    timestamp_unit: Unit::Seconds,
    id_header: None,
    key: KeyForm::Utf8,
    key_prefixes: &[],
    tolerance_s: 300,
    accept_compact_json: false,
    renamed: None,
};

/// What those share who follow Standard Webhooks.
const STANDARD: SigningRow = SigningRow {
    header: Some("webhook-signature"),
    separator: Some(' '),
    prefix: "v1,",
    encoding: Encoding::Base64,
    signed: "{id}.{timestamp}.{body}",
    timestamp_header: Some("webhook-timestamp"),
    id_header: Some("webhook-id"),
    key: KeyForm::Base64,
    key_prefixes: &["whsec_"],
    ..PLAIN
};

const STANDARD_WEBHOOKS_PAGE: &str =
    "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md";

const fn row(name: &'static str, about: &'static str, source: &'static str, preset: Preset) -> Row {
    Row { name, about, source, seen: "2026-08", event_id: None, handshake: None, preset }
}

impl Row {
    const fn asking(self, handshake: Handshake) -> Self {
        Self { handshake: Some(handshake), ..self }
    }

    const fn named_by(self, event_id: IdPlace) -> Self {
        Self { event_id: Some(event_id), ..self }
    }
}

/// Every scheme there is: the general ones first, then the senders by name.
pub static SCHEMES: &[Row] = &[
    row("none", "anybody who knows the URL may call", "Flowgate", Preset::None),
    row(
        "api-key",
        "the secret in the query parameter or header that `query` or `header` names",
        "Flowgate",
        Preset::ApiKey,
    ),
    row("bearer", "`Authorization: Bearer <secret>`", "RFC 6750 §2.1", Preset::Bearer),
    row(
        "basic",
        "`Authorization: Basic`; the secret is the password of `user`, of anybody when that is `*`, or `user:password`",
        "RFC 7617",
        Preset::Basic,
    ),
    row(
        "hmac-sha256",
        "HMAC-SHA256 of the body in `x-signature`; every detail can be set",
        "RFC 2104",
        Preset::Signing(PLAIN),
    ),
    row(
        "custom",
        "a row of your own: `header` or `signature_pointer` must be given, every other detail can be",
        "Flowgate",
        Preset::Signing(SigningRow { header: None, ..PLAIN }),
    ),
    row(
        "adyen",
        "Adyen notifications; the signature is in the JSON, which must hold one item, and only eight of its fields are signed",
        "https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures",
        Preset::Signing(SigningRow {
            header: None,
            signature_pointer: Some("/notificationItems/0/NotificationRequestItem/additionalData/hmacSignature"),
            signed: "{json:/notificationItems/0/NotificationRequestItem/pspReference}:{json:/notificationItems/0/NotificationRequestItem/originalReference}:{json:/notificationItems/0/NotificationRequestItem/merchantAccountCode}:{json:/notificationItems/0/NotificationRequestItem/merchantReference}:{json:/notificationItems/0/NotificationRequestItem/amount/value}:{json:/notificationItems/0/NotificationRequestItem/amount/currency}:{json:/notificationItems/0/NotificationRequestItem/eventCode}:{json:/notificationItems/0/NotificationRequestItem/success}",
            key: KeyForm::Hex,
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    ),
    row(
        "agenticflow",
        "AgenticFlow's outgoing webhooks",
        "AgenticFlow, webhooks reference",
        Preset::Signing(SigningRow { header: Some("x-agenticflow-signature"), prefix: "sha256=", ..PLAIN }),
    ),
    row(
        "almyty",
        "almyty's webhooks",
        "almyty, agent webhooks reference",
        Preset::Signing(SigningRow { header: Some("x-webhook-signature"), prefix: "sha256=", ..PLAIN }),
    ),
    row(
        "asana",
        "Asana; the secret is the `X-Hook-Secret` that Asana sent when the webhook was made",
        "https://developers.asana.com/docs/webhooks-guide",
        Preset::Signing(SigningRow { header: Some("x-hook-signature"), ..PLAIN }),
    )
    .asking(Handshake::Asana),
    row(
        "bitbucket",
        "Bitbucket Cloud; Jira and others that write SHA-256 into `X-Hub-Signature`",
        "https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/",
        Preset::Signing(SigningRow { header: Some("x-hub-signature"), prefix: "sha256=", ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-request-uuid")),
    row(
        "calendly",
        "Calendly",
        "https://developer.calendly.com/api-docs/ZG9jOjM2MzE2MDM4-webhook-signatures",
        Preset::Signing(SigningRow {
            header: Some("calendly-webhook-signature"),
            separator: Some(','),
            prefix: "v1=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            ..PLAIN
        }),
    ),
    row(
        "circleci",
        "CircleCI outbound webhooks",
        "https://circleci.com/docs/outbound-webhooks/#validate-webhooks",
        Preset::Signing(SigningRow {
            header: Some("circleci-signature"),
            separator: Some(','),
            prefix: "v1=",
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/id")),
    row(
        "convoy",
        "Convoy's simple signatures in their default form; `algorithm` and `encoding` can be set as in the project",
        "https://docs.getconvoy.io/product-manual/signatures",
        Preset::Signing(SigningRow { header: Some("x-convoy-signature"), ..PLAIN }),
    ),
    row(
        "convoy-advanced",
        "Convoy's advanced signatures; the timestamp and the body are joined by a comma",
        "https://docs.getconvoy.io/product-manual/signatures",
        Preset::Signing(SigningRow {
            header: Some("x-convoy-signature"),
            separator: Some(','),
            prefix: "v1=",
            signed: "{timestamp},{body}",
            timestamp_prefix: Some("t="),
            ..PLAIN
        }),
    ),
    row(
        "customer-io",
        "Customer.io reporting webhooks",
        "https://docs.customer.io/journeys/webhooks/#securely-verify-requests",
        Preset::Signing(SigningRow {
            header: Some("x-cio-signature"),
            signed: "v0:{timestamp}:{body}",
            timestamp_header: Some("x-cio-timestamp"),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event_id")),
    row(
        "discord",
        "Discord interactions and webhook events; the secret is the public key of the application",
        "https://docs.discord.com/developers/interactions/overview",
        Preset::Signing(SigningRow {
            header: Some("x-signature-ed25519"),
            algorithm: Algorithm::Ed25519,
            signed: "{timestamp}{body}",
            key: KeyForm::Hex,
            timestamp_header: Some("x-signature-timestamp"),
            ..PLAIN
        }),
    )
    .asking(Handshake::Discord),
    row(
        "dropbox",
        "Dropbox",
        "https://www.dropbox.com/developers/reference/webhooks",
        Preset::Signing(SigningRow { header: Some("x-dropbox-signature"), ..PLAIN }),
    )
    .asking(Handshake::Dropbox),
    row(
        "elevenlabs",
        "ElevenLabs",
        "https://elevenlabs.io/docs/overview/administration/webhooks",
        Preset::Signing(SigningRow {
            header: Some("elevenlabs-signature"),
            separator: Some(','),
            prefix: "v0=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            tolerance_s: 1_800,
            ..PLAIN
        }),
    ),
    row(
        "forgejo",
        "Forgejo",
        "https://forgejo.org/docs/latest/user/webhooks/",
        Preset::Signing(SigningRow { header: Some("x-forgejo-signature"), ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-forgejo-delivery")),
    row(
        "gitea",
        "Gitea",
        "https://docs.gitea.com/usage/webhooks",
        Preset::Signing(SigningRow { header: Some("x-gitea-signature"), ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-gitea-delivery")),
    row(
        "github",
        "GitHub's `X-Hub-Signature-256`",
        "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        Preset::Signing(SigningRow { header: Some("x-hub-signature-256"), prefix: "sha256=", ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-github-delivery")),
    row(
        "github-sha1",
        "GitHub's legacy `X-Hub-Signature`, and others that write SHA-1 into it",
        "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        Preset::Signing(SigningRow {
            header: Some("x-hub-signature"),
            prefix: "sha1=",
            algorithm: Algorithm::HmacSha1,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Header("x-github-delivery")),
    row(
        "gitlab",
        "GitLab's secret token, which says who sends and not what",
        "https://docs.gitlab.com/user/project/integrations/webhooks/",
        Preset::Token("x-gitlab-token"),
    )
    .named_by(IdPlace::Header("idempotency-key")),
    row(
        "gitlab-signed",
        "GitLab's signing token, which is Standard Webhooks",
        "https://docs.gitlab.com/user/project/integrations/webhooks/",
        Preset::Signing(STANDARD),
    ),
    row(
        "gogs",
        "Gogs",
        "https://gogs.io/docs/features/webhook",
        Preset::Signing(SigningRow { header: Some("x-gogs-signature"), ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-gogs-delivery")),
    row(
        "http-message-signatures",
        "RFC 9421; covers at least the method, the path and, by `content-digest`, the body, unless `components` says otherwise",
        "https://www.rfc-editor.org/rfc/rfc9421",
        Preset::HttpMessage,
    ),
    row(
        "hubspot-v1",
        "HubSpot version 1: SHA-256 of the secret and the body, to which others can append; v3 is better",
        "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        Preset::Signing(SigningRow { header: Some("x-hubspot-signature"), algorithm: Algorithm::Sha256, ..PLAIN }),
    ),
    row(
        "hubspot-v2",
        "HubSpot version 2: SHA-256 of the secret, method, URL and body, to which others can append; v3 is better",
        "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        Preset::Signing(SigningRow {
            header: Some("x-hubspot-signature"),
            algorithm: Algorithm::Sha256,
            signed: "{method}{url}{body}",
            ..PLAIN
        }),
    ),
    row(
        "hubspot-v3",
        "HubSpot version 3",
        "https://developers.hubspot.com/docs/apps/legacy-apps/authentication/validating-requests",
        Preset::Signing(SigningRow {
            header: Some("x-hubspot-signature-v3"),
            signed: "{method}{url}{body}{timestamp}",
            timestamp_unit: Unit::Milliseconds,
            timestamp_header: Some("x-hubspot-request-timestamp"),
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    ),
    row(
        "intercom",
        "Intercom",
        "https://developers.intercom.com/docs/webhooks/setting-up-webhooks",
        Preset::Signing(SigningRow {
            header: Some("x-hub-signature"),
            prefix: "sha1=",
            algorithm: Algorithm::HmacSha1,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/id")),
    row(
        "jwt",
        "a JSON Web Token signed by a key that is known: `audience`, `claims` or `body_claim` say what it must be for",
        "https://www.rfc-editor.org/rfc/rfc7519",
        Preset::Jwt,
    ),
    row(
        "line",
        "LINE Messaging API",
        "https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/",
        Preset::Signing(SigningRow { header: Some("x-line-signature"), encoding: Encoding::Base64, ..PLAIN }),
    ),
    row(
        "mailgun",
        "Mailgun; the signature is in the JSON and signs its timestamp and token only, not the rest of the body",
        "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
        Preset::Signing(SigningRow {
            header: None,
            signature_pointer: Some("/signature/signature"),
            signed: "{timestamp}{json:/signature/token}",
            timestamp_pointer: Some("/signature/timestamp"),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event-data/id")),
    row(
        "meta",
        "Meta: Facebook, Instagram, Messenger, WhatsApp; `verify_token` is what the subscription was made with",
        "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
        Preset::Signing(SigningRow { header: Some("x-hub-signature-256"), prefix: "sha256=", ..PLAIN }),
    )
    .asking(Handshake::Meta),
    row(
        "okta",
        "Okta event hooks; the secret is the whole value of `Authorization`",
        "https://developer.okta.com/docs/concepts/event-hooks/",
        Preset::Token("authorization"),
    )
    .named_by(IdPlace::Pointer("/eventId"))
    .asking(Handshake::Okta),
    row(
        "outpost",
        "Outpost's default signature; the key is the whole `whsec_…` text",
        "https://outpost.hookdeck.com/docs/destinations/webhook",
        Preset::Signing(SigningRow {
            header: Some("x-outpost-signature"),
            header_prefix: "v0=",
            separator: Some(','),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Header("x-outpost-event-id")),
    row(
        "paddle",
        "Paddle; the key is the whole `pdl_ntfset_…` text",
        "https://developer.paddle.com/webhooks/signature-verification",
        Preset::Signing(SigningRow {
            header: Some("paddle-signature"),
            separator: Some(';'),
            prefix: "h1=",
            signed: "{timestamp}:{body}",
            timestamp_prefix: Some("ts="),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event_id")),
    row(
        "pagerduty",
        "PagerDuty V3",
        "https://developer.pagerduty.com/docs/verifying-webhook-signatures",
        Preset::Signing(SigningRow {
            header: Some("x-pagerduty-signature"),
            separator: Some(','),
            prefix: "v1=",
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event/id")),
    row(
        "razorpay",
        "Razorpay",
        "https://razorpay.com/docs/webhooks/validate-test/",
        Preset::Signing(SigningRow { header: Some("x-razorpay-signature"), ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-razorpay-event-id")),
    row(
        "scalr",
        "Scalr; the date is signed after the body",
        "https://docs.scalr.io/docs/webhooks",
        Preset::Signing(SigningRow {
            header: Some("x-signature"),
            algorithm: Algorithm::HmacSha1,
            signed: "{body}{timestamp}",
            timestamp_unit: Unit::HttpDate,
            timestamp_header: Some("date"),
            ..PLAIN
        }),
    ),
    row(
        "sendgrid",
        "SendGrid event webhook; the secret is the verification key of the account",
        "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
        Preset::Signing(SigningRow {
            header: Some("x-twilio-email-event-webhook-signature"),
            algorithm: Algorithm::EcdsaP256,
            encoding: Encoding::Base64,
            signed: "{timestamp}{body}",
            key: KeyForm::Base64,
            timestamp_header: Some("x-twilio-email-event-webhook-timestamp"),
            ..PLAIN
        }),
    ),
    row(
        "shopify",
        "Shopify's `X-Shopify-Hmac-SHA256`",
        "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
        Preset::Signing(SigningRow { header: Some("x-shopify-hmac-sha256"), encoding: Encoding::Base64, ..PLAIN }),
    )
    .named_by(IdPlace::Header("x-shopify-webhook-id")),
    row(
        "slack",
        "Slack",
        "https://docs.slack.dev/authentication/verifying-requests-from-slack",
        Preset::Signing(SigningRow {
            header: Some("x-slack-signature"),
            prefix: "v0=",
            signed: "v0:{timestamp}:{body}",
            timestamp_header: Some("x-slack-request-timestamp"),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event_id"))
    .asking(Handshake::Slack),
    row(
        "square",
        "Square; the notification URL is signed before the body",
        "https://developer.squareup.com/docs/webhooks/step3validate",
        Preset::Signing(SigningRow {
            header: Some("x-square-hmacsha256-signature"),
            signed: "{url}{body}",
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/event_id")),
    row(
        "standard-webhooks",
        "Standard Webhooks 1.0, symmetric (v1)",
        STANDARD_WEBHOOKS_PAGE,
        Preset::Signing(STANDARD),
    ),
    row(
        "standard-webhooks-v1a",
        "Standard Webhooks 1.0, asymmetric (v1a); the secret is `whpk_…`, or `whsk_…` to sign as well",
        STANDARD_WEBHOOKS_PAGE,
        Preset::Signing(SigningRow {
            prefix: "v1a,",
            algorithm: Algorithm::Ed25519,
            key_prefixes: &["whpk_", "whsk_"],
            ..STANDARD
        }),
    ),
    row(
        "stripe",
        "Stripe's `Stripe-Signature`; the key is the whole `whsec_…` text",
        "https://docs.stripe.com/webhooks#verify-manually",
        Preset::Signing(SigningRow {
            header: Some("stripe-signature"),
            separator: Some(','),
            prefix: "v1=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/id")),
    row(
        "svix",
        "Svix and those who send by it: Clerk, Resend, Lithic, Brex and many more; `webhook-…` headers are taken too",
        "https://docs.svix.com/receiving/verifying-payloads/how-manual",
        Preset::Signing(SigningRow {
            header: Some("svix-signature"),
            timestamp_header: Some("svix-timestamp"),
            id_header: Some("svix-id"),
            renamed: Some(("svix-", "webhook-")),
            ..STANDARD
        }),
    ),
    row(
        "telegram",
        "Telegram Bot API; the secret is the `secret_token` of `setWebhook`",
        "https://core.telegram.org/bots/api#setwebhook",
        Preset::Token("x-telegram-bot-api-secret-token"),
    )
    .named_by(IdPlace::Pointer("/update_id")),
    row(
        "tiktok",
        "TikTok",
        "https://developers.tiktok.com/doc/webhooks-verification",
        Preset::Signing(SigningRow {
            header: Some("tiktok-signature"),
            separator: Some(','),
            prefix: "s=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            ..PLAIN
        }),
    ),
    row(
        "trello",
        "Trello; the callback URL is signed after the body",
        "https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/",
        Preset::Signing(SigningRow {
            header: Some("x-trello-webhook"),
            algorithm: Algorithm::HmacSha1,
            signed: "{body}{url}",
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    )
    .asking(Handshake::Trello),
    row(
        "twilio",
        "Twilio; the URL, then the sorted fields of a form, or `bodySHA256` in the URL for another body",
        "https://www.twilio.com/docs/usage/security#validating-requests",
        Preset::Signing(SigningRow {
            header: Some("x-twilio-signature"),
            algorithm: Algorithm::HmacSha1,
            signed: "{url}{form}",
            url_any_port: true,
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Header("i-twilio-idempotency-token")),
    row(
        "twitch",
        "Twitch EventSub",
        "https://dev.twitch.tv/docs/eventsub/handling-webhook-events/",
        Preset::Signing(SigningRow {
            header: Some("twitch-eventsub-message-signature"),
            prefix: "sha256=",
            signed: "{id}{timestamp}{body}",
            timestamp_unit: Unit::Rfc3339,
            id_header: Some("twitch-eventsub-message-id"),
            tolerance_s: 600,
            timestamp_header: Some("twitch-eventsub-message-timestamp"),
            ..PLAIN
        }),
    )
    .asking(Handshake::Twitch),
    row(
        "uptiq",
        "UPTIQ; the same JSON as `JSON.stringify` writes it is taken too",
        "UPTIQ, agent webhook guide",
        Preset::Signing(SigningRow { header: Some("x-signature"), accept_compact_json: true, ..PLAIN }),
    ),
    row(
        "vercel",
        "Vercel",
        "https://vercel.com/docs/webhooks/webhooks-api#securing-webhooks",
        Preset::Signing(SigningRow { header: Some("x-vercel-signature"), algorithm: Algorithm::HmacSha1, ..PLAIN }),
    )
    .named_by(IdPlace::Pointer("/id")),
    row(
        "webex",
        "Webex",
        "https://developer.webex.com/docs/webhooks",
        Preset::Signing(SigningRow { header: Some("x-spark-signature"), algorithm: Algorithm::HmacSha1, ..PLAIN }),
    ),
    row(
        "webflow",
        "Webflow",
        "https://developers.webflow.com/data/docs/working-with-webhooks",
        Preset::Signing(SigningRow {
            header: Some("x-webflow-signature"),
            signed: "{timestamp}:{body}",
            timestamp_unit: Unit::Milliseconds,
            timestamp_header: Some("x-webflow-timestamp"),
            ..PLAIN
        }),
    ),
    row(
        "woocommerce",
        "WooCommerce",
        "https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks",
        Preset::Signing(SigningRow { header: Some("x-wc-webhook-signature"), encoding: Encoding::Base64, ..PLAIN }),
    ),
    row(
        "workos",
        "WorkOS; the timestamp is in milliseconds",
        "https://workos.com/docs/events/data-syncing/webhooks",
        Preset::Signing(SigningRow {
            header: Some("workos-signature"),
            separator: Some(','),
            prefix: "v1=",
            signed: "{timestamp}.{body}",
            timestamp_prefix: Some("t="),
            timestamp_unit: Unit::Milliseconds,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Pointer("/id")),
    row(
        "x",
        "X, formerly Twitter",
        "https://docs.x.com/x-api/webhooks/introduction",
        Preset::Signing(SigningRow {
            header: Some("x-twitter-webhooks-signature"),
            prefix: "sha256=",
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    )
    .asking(Handshake::X),
    row(
        "zendesk",
        "Zendesk",
        "https://developer.zendesk.com/documentation/webhooks/verifying/",
        Preset::Signing(SigningRow {
            header: Some("x-zendesk-webhook-signature"),
            signed: "{timestamp}{body}",
            timestamp_unit: Unit::Rfc3339,
            timestamp_header: Some("x-zendesk-webhook-signature-timestamp"),
            encoding: Encoding::Base64,
            ..PLAIN
        }),
    )
    .named_by(IdPlace::Header("x-zendesk-webhook-invocation-id")),
    row(
        "zoom",
        "Zoom",
        "https://developers.zoom.us/docs/api/webhooks/",
        Preset::Signing(SigningRow {
            header: Some("x-zm-signature"),
            prefix: "v0=",
            signed: "v0:{timestamp}:{body}",
            timestamp_header: Some("x-zm-request-timestamp"),
            ..PLAIN
        }),
    )
    .asking(Handshake::Zoom),
];
