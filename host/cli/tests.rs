//! What the command line reads, and what `send` makes of it.

use clap::{CommandFactory as _, Parser as _};
use serde_json::{Value, json};

use super::{Args, Command, hook, subscription};
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_ms(1_763_654_400_000);

fn parse(line: &str) -> Result<Args, String> {
    let words = std::iter::once("flowgate").chain(line.split_whitespace());
    Args::try_parse_from(words).map_err(|error| error.to_string())
}

#[test]
fn the_commands_contradict_nothing() {
    Args::command().debug_assert();
}

#[test]
fn every_command_is_read() {
    for line in [
        "new bot --lang rust --template greeter --dir /tmp/bot",
        "build --dir /tmp/bot",
        "dev --listen 127.0.0.1:0",
        "test --no-build --junit report.xml cases/a.toml cases/b.json",
        "execution export exe_1 --alone",
        "serve",
        "serve --data /tmp/x --config f.toml --listen 0.0.0.0:80",
        "deploy bot bot.wasm --alias next",
        "deploy bot bot.wasm --no-promote --json",
        "flow list --limit 200 --cursor c",
        "flow show bot",
        "flow versions bot",
        "flow promote bot sha256:00 --alias next",
        "flow promote bot sha256:00 --weight 10%",
        "deploy",
        "deploy --no-build --canary 5 --smoke cases/a.toml --smoke b.json",
        "deploy bot oci://ghcr.io/acme/bot:1 --insecure",
        "push ghcr.io/acme/bot:1 --dir /tmp/bot",
        "pull ghcr.io/acme/bot:1 --output bot.wasm --user a --password-stdin",
        "flow rollback bot",
        "flow config bot",
        "flow config bot get",
        "flow config bot set a=1 b=",
        "flow config bot unset a",
        "flow grant bot",
        "flow grant bot show",
        "flow grant bot http api.example.com --method GET --method POST --path /v1/* --secret KEY --scheme http",
        "flow grant bot reveal KEY OTHER",
        "flow grant bot llm fast smart --tokens-per-execution 20000 --tokens-per-day 5 --micro-usd-per-day 9",
        "flow grant bot call translate",
        "flow grant bot set grants.json",
        "flow revoke bot http api.example.com",
        "flow revoke bot llm",
        "flow revoke bot all",
        "flow secret bot list",
        "flow secret bot set KEY",
        "flow secret bot remove KEY",
        "flow delete bot",
        "hook create h --flow bot --auth github --secret s --mode async --callback https://x.example/cb",
        "hook update h --auth basic --user u --sync-wait-ms 5 --body-bytes-max 9",
        "hook rotate h --use callback --overlap-s 0",
        "hook revoke h sec_1",
        "hook create h --flow bot --capture --deduplicate pointer:/event/id --filter {}",
        "hook update h --capture=false --deduplicate off",
        "hook requests h --verdict refused,filtered --limit 5",
        "hook requests",
        "hook request trg_1",
        "hook replay trg_1 --alias next",
        "send h body.json --wait 5 --header x-a:b",
        "send h - --async",
        "send h --message hi --session s --stream --secret-file f",
        "--url http://h:1/base --key fgk_1 send h --curl",
        "execution list --status failed,canceled --flow bot --hook h --session s",
        "execution replay exe_1 --version sha256:00",
        "execution tail exe_1",
        "delivery list --execution exe_1",
        "delivery list --status pending,exhausted --target hok_1 --event execution.failed --since 2027-01-01T00:00:00Z",
        "delivery dead --target sub_1 --until 2027-01-01T00:00:00Z --limit 5",
        "delivery redeliver dlv_1",
        "delivery discard dlv_1",
        "delivery recover hok_1 --since 2027-01-01T00:00:00Z --dry-run",
        "delivery stats sub_1 --hours 48",
        "key create ci --role reader --expires-at 2027-01-01T00:00:00Z",
        "key revoke key_1",
        "signature list",
        "signature check --scheme github --secret s --headers-file h --body-file b --at 5 --tolerance 9 --method PUT",
        "signature sign --scheme-json {} --body-file b --id msg_1 --public-url https://x.example/h?a=b",
        "config print --default",
        "config check --config f.toml --json",
    ] {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (line, named) in [
        ("send h body.json --message hi", "--message"),
        ("send h body.json --data {}", "--data"),
        ("send h --data {", "--data"),
        ("send h --stream --async", "--async"),
        ("send h --header nonsense", "allowed: `Name: value`"),
        ("flow list --limit 0", "1..=200"),
        ("flow config bot set a", "KEY=VALUE"),
        ("flow config bot set", "KEY=VALUE"),
        ("flow grant bot http h --scheme ftp", "https, http"),
        ("flow secret bot set KEY value", "value"),
        ("hook create h", "--flow"),
        ("hook create h --flow f --header x-a", "--auth"),
        ("hook create h --flow f --mode later", "sync, async, stream"),
        ("hook create h --flow f --callback nowhere", "--callback"),
        ("hook create h --flow f --deduplicate x-id", "header:NAME"),
        ("hook replay trg_1 --alias next --version sha256:00", "--version"),
        ("hook update h --content-encoding compress", "gzip, deflate, br, zstd"),
        ("signature check --secret s --headers-file h --body-file b", "--scheme"),
        ("key create ci --expires-at tomorrow", "--expires-at"),
        ("delivery recover hok_1", "--since"),
        ("delivery stats hok_1 --hours 721", "1..=720"),
        ("--url nowhere flow list", "--url"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(named), "{line}: {error}");
    }
}

#[test]
fn a_receiver_is_not_taken_for_the_server() {
    for line in ["create https://x.example/in --event *", "update s --receiver https://x.example/in"] {
        let words = ["flowgate", "--url", "http://server.example", "subscription"].into_iter().chain(line.split(' '));
        let args = Args::try_parse_from(words).unwrap();
        assert_eq!(args.url.as_str(), "http://server.example/", "{line}");
    }
}

fn create(line: &str) -> anyhow::Result<Value> {
    let mut words = vec!["flowgate", "hook", "create", "h", "--flow", "f"];
    words.extend(line.split_whitespace());
    match Args::try_parse_from(words)?.command {
        Command::Hook(hook::Hook::Create(create)) => create.body(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hook_is_sent_as_it_was_described() {
    let expected = json!({ "name": "h", "flow": "f", "auth": [{ "scheme": "bearer" }] });
    assert_eq!(create("").unwrap(), expected);
    let line = r#"--auth hmac-sha256 --header X-Sig --prefix sha256= --encoding base64 --auth-json {"scheme":"bearer"}
                  --mode async --callback https://x.example/cb --secret s
                  --allow-from 203.0.113.0/24 --allow-from ::1 --content-type text/* --content-encoding br --spec {"retry":{"attempts_max":1}}"#;
    let expected = json!({
        "name": "h", "flow": "f", "secret": "s", "mode": "async", "callback": { "url": "https://x.example/cb" },
        "auth": [
            { "scheme": "hmac-sha256", "header": "X-Sig", "prefix": "sha256=", "encoding": "base64" },
            { "scheme": "bearer" },
        ],
        "allow_from": ["203.0.113.0/24", "::1"], "content_types": ["text/*"], "content_encodings": ["br"],
        "retry": { "attempts_max": 1 },
    });
    assert_eq!(create(line).unwrap(), expected);
}

#[test]
fn a_subscription_is_sent_as_it_was_described() {
    let body = |line: &[&str]| {
        let words = ["flowgate", "subscription", "create", "https://x.example/in"].iter().chain(line);
        match Args::try_parse_from(words).unwrap().command {
            Command::Subscription(subscription::Subscription::Create(create)) => create.body(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(body(&[]).unwrap(), json!({ "url": "https://x.example/in", "events": ["*"] }));
    let line = [
        "--name",
        "Warehouse",
        "--event",
        "execution.*",
        "--event",
        "session.completed",
        "--format",
        "agenticflow",
        "--filter",
        r#"{"credits":{"$gt":1}}"#,
        "--include-field",
        "output",
        "--signature",
        "github",
        "--secret",
        "s",
        "--authentication",
        r#"{"type":"bearer","token":"t"}"#,
        "--spec",
        r#"{"order":"session"}"#,
    ];
    let expected = json!({
        "url": "https://x.example/in", "name": "Warehouse", "events": ["execution.*", "session.completed"],
        "format": "agenticflow", "filter": { "credits": { "$gt": 1 } }, "include_fields": ["output"],
        "signature": { "scheme": "github" }, "secret": "s", "authentication": { "type": "bearer", "token": "t" },
        "order": "session",
    });
    assert_eq!(body(&line).unwrap(), expected);
    for (line, told) in [
        (["--signature", "githup"], "--signature: `scheme` is `githup`"),
        (["--filter", "{"], "--filter is not JSON"),
        (["--spec", "[]"], "--spec is not a JSON object"),
    ] {
        let error = format!("{:#}", body(&line).unwrap_err());
        assert!(error.contains(told), "{line:?}: {error}");
    }
}

#[test]
fn a_scheme_that_cannot_be_is_told_before_anything_is_sent() {
    for (line, told) in [
        ("--auth githup", "--auth githup: `scheme` is `githup`; allowed: `none`, `api-key`, "),
        ("--auth bearer --header x-a", "`header` does not belong to scheme `bearer`"),
        ("--auth api-key --auth github --header x-a", "it is not clear which one has the --header"),
        ("--auth-json {", "--auth-json: "),
        ("--spec []", "--spec is not a JSON object"),
        ("--filter {", "--filter is not JSON"),
    ] {
        let error = format!("{:#}", create(line).unwrap_err());
        assert!(error.contains(told), "{line}: {error}");
    }
}

/// What `send … --curl` prints for a hook as the API shows it.
fn curl(auth: &Value, line: &[&str]) -> anyhow::Result<String> {
    let hook = json!({ "url_path": "/hooks/hok_1", "dialect": "native", "auth": auth });
    let words = ["flowgate", "send", "h", "--curl"].iter().chain(line);
    match Args::try_parse_from(words)?.command {
        Command::Send(send) => send.signed(&hook, "http://127.0.0.1:8080/hooks/hok_1".parse()?, NOW)?.curl(None),
        other => panic!("{other:?}"),
    }
}

#[test]
fn curl_sends_what_send_would_signed_as_the_hook_demands() {
    // The digest is that of `printf '{"message":"it'"'"'s late"}' | openssl dgst -sha256 -hmac s`.
    let github = json!([{ "scheme": "github" }]);
    assert_eq!(
        curl(&github, &["--message", "it's late", "--secret", "s"]).unwrap(),
        "curl --request POST http://127.0.0.1:8080/hooks/hok_1 \\\n  \
         --header 'content-type: application/json' \\\n  \
         --header 'x-hub-signature-256: sha256=c7afa72ae8a2aa3e71475cd6fc965adbd39f7da948d67c6ebb2731f12859e5db' \\\n  \
         --data-raw '{\"message\":\"it'\\''s late\"}'"
    );
    let stripe = curl(&json!([{ "scheme": "stripe" }]), &["--async", "--wait", "3", "--secret", "s"]).unwrap();
    assert!(stripe.contains("--header 'prefer: respond-async, wait=3'"), "{stripe}");
    assert!(stripe.contains("--header 'stripe-signature: t=1763654400,v1="), "{stripe}");
    let key = curl(&json!([{ "scheme": "api-key", "query": "apiKey" }]), &["--secret", "a&b"]).unwrap();
    assert!(key.starts_with("curl --request POST 'http://127.0.0.1:8080/hooks/hok_1?apiKey=a%26b' "), "{key}");
    let open = curl(&json!([{ "scheme": "none" }]), &["--header", "content-type: text/x", "--stream"]).unwrap();
    assert!(open.contains("--header 'content-type: text/x'") && open.contains("text/event-stream"), "{open}");
    assert!(!open.contains("application/json"), "{open}");
}

#[test]
fn a_hook_that_wants_a_secret_says_so() {
    let missing = curl(&json!([{ "scheme": "github" }]), &["--secret", ""]).unwrap_err().to_string();
    assert!(missing.contains("by scheme `github`") && missing.contains("FLOWGATE_SECRET"), "{missing}");
    let misfit = curl(&json!([{ "scheme": "basic" }]), &["--secret", "no-colon"]).unwrap_err().to_string();
    assert!(misfit.contains("`user:password`"), "{misfit}");
}
