//! What is read, what is refused, and that the reference says the truth.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use super::allowed::KEYS;
use super::{Config, DEFAULT, Error, read};

fn config(file: &str, variables: &[(&str, &str)]) -> Result<Config, Error> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read::config(Some((Path::new("flowgate.toml"), file.parse().unwrap())), variables)
}

fn problems(file: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match config(file, variables) {
        Err(Error::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn keys(table: &Table) -> Vec<String> {
    let names = |(section, keys): (&String, &Value)| {
        let keys = keys.as_table().unwrap().keys();
        keys.map(|key| format!("{section}.{key}")).collect::<Vec<_>>()
    };
    table.iter().flat_map(names).collect()
}

#[test]
fn the_default_file_says_every_default_with_a_comment() {
    let written: Table = DEFAULT.parse().unwrap();
    assert_eq!(written, Table::try_from(Config::default()).unwrap());
    let lines: Vec<_> = DEFAULT.lines().collect();
    for pair in lines.windows(2) {
        let needs_comment = !pair[1].is_empty() && !pair[1].starts_with('#');
        assert!(!needs_comment || pair[0].starts_with('#'), "`{}` has no comment", pair[1]);
    }
}

#[test]
fn every_key_has_its_allowed_values_and_the_default_is_one() {
    let defaults = Table::try_from(Config::default()).unwrap();
    let mut listed: Vec<_> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    listed.sort();
    let mut known = keys(&defaults);
    known.sort();
    assert_eq!(listed, known);
    for (path, allowed) in KEYS {
        let (section, key) = path.split_once('.').unwrap();
        assert!(allowed.admits(&defaults[section][key]), "{path}");
    }
}

#[test]
fn what_is_printed_is_read_back() {
    let config = config("[egress]\nports = [443]\n[server]\nlisten = \"[::1]:9\"", &[]).unwrap();
    assert_eq!(self::config(&config.to_toml(), &[]).unwrap(), config);
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "[engine]\ninstances_max = 10\ncpu_ms_max = 20\n[telemetry]\nformat = \"json\"";
    let config = config(
        file,
        &[
            ("FLOWGATE_ENGINE_INSTANCES_MAX", "30"),
            ("FLOWGATE_SERVER_LISTEN", "0.0.0.0:80"),
            ("FLOWGATE_EGRESS_ALLOW", "10.0.0.0/8, fd00::/8"),
            ("FLOWGATE_EGRESS_PORTS", "443,8443"),
            ("FLOWGATE_DELIVERY_SCHEDULE_S", ""),
        ],
    )
    .unwrap();
    assert_eq!((config.engine.instances_max, config.engine.cpu_ms_max), (30, 20));
    assert_eq!(config.engine.epoch_tick_ms, Config::default().engine.epoch_tick_ms);
    assert_eq!(config.telemetry.format, crate::telemetry::Format::Json);
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.egress.allow, ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    assert_eq!((config.egress.ports, config.delivery.schedule_s), (vec![443, 8443], vec![]));
}

#[test]
fn the_password_of_a_proxy_is_never_shown() {
    let written = "[egress]\nproxy_url = \"http://me:hunter2@proxy.internal:3128\"\nproxy_resolves = true";
    let good = config(written, &[("FLOWGATE_EGRESS_PROXY_RESOLVES", "false")]).unwrap();
    assert!(!good.egress.proxy_resolves);
    assert!(good.to_toml().contains("proxy_url = \"http://***@proxy.internal:3128/\""), "{}", good.to_toml());
    assert!(!format!("{good:?}").contains("hunter2"));
    let bad = problems("", &[("FLOWGATE_EGRESS_PROXY_URL", "socks5://me:hunter2@proxy.internal:1080")]);
    assert!(bad[0].contains("is `\"socks5://***@proxy.internal:1080\"`; allowed: a URL such as"), "{bad:?}");
}

#[test]
fn nothing_that_gives_access_is_shown() {
    const CANARY: &str = "c4n4ry";
    let samples = [
        ("egress.proxy_url", "http://c4n4ry:c4n4ry@proxy.internal:3128"),
        ("notice.smtp_url", "smtps://c4n4ry:c4n4ry@mail.example?tls=required"),
        ("notice.webhook_url", "https://c4n4ry:c4n4ry@receiver.example/in?token=c4n4ry"),
        ("notice.webhook_secret", "whsec_c4n4ry"),
    ];
    let secret = |key: &str| ["_url", "secret", "password", "token", "key"].iter().any(|word| key.ends_with(word));
    let known = KEYS.iter().map(|(key, _)| *key).filter(|key| secret(key)).collect::<BTreeSet<_>>();
    assert_eq!(known, samples.iter().map(|(key, _)| *key).collect(), "a key that sounds secret has a sample here");
    let variables = samples.map(|(key, value)| (format!("FLOWGATE_{}", key.replace('.', "_").to_uppercase()), value));
    let variables = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>();
    let config = config("", &variables).unwrap();
    assert!(config.notice.smtp_url.contains(CANARY), "what is not shown is there");
    for shown in [config.to_toml(), serde_json::to_string(&config).unwrap(), format!("{config:?}")] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
    assert!(config.to_toml().contains("smtp_url = \"smtps://***@mail.example?tls=required\""), "{}", config.to_toml());
}

#[test]
fn a_file_of_authorities_is_read_with_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem").display().to_string();
    for content in
        [None, Some("no certificate"), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    {
        content.inspect(|content| std::fs::write(&path, content).unwrap());
        let bad = problems("", &[("FLOWGATE_EGRESS_CA_FILE", &path)]);
        assert!(bad[0].ends_with("allowed: the path of a file of PEM certificates that can be read, or \"\" for none"));
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let file =
        "[engine]\ninstance_max = 1\ninstances_max = 0\ncpu_ms_max = \"5s\"\n[sever]\nlisten = 1\n[egress]\nallow = 1";
    let variables = [
        ("FLOWGATE_SERVER_LISTEN", "8080"),
        ("FLOWGATE_TELEMETRY_LOG", "inof"),
        ("FLOWGATE_TELEMETRY_FORMAT", "xml"),
        ("FLOWGATE_STORE_READERS", "-1"),
        ("FLOWGATE_EGRESS_PORTS", "443,http"),
        ("FLOWGATE_ENGIN_LOADED_MAX", "5"),
        ("FLOWGATE_QUEUE_LEASE_S", "5"),
    ];
    let problems = problems(file, &variables);
    let expected = [
        "`egress.allow` (flowgate.toml) is `1`; allowed: a list of address ranges, such as [\"10.0.0.0/8\", \"fd00::/8\"]",
        "`engine.cpu_ms_max` (flowgate.toml) is `\"5s\"`; allowed: a whole number from 1 to 86400000",
        "`engine.instance_max` (flowgate.toml) is not a key; did you mean `instances_max`? allowed: compile_memory_bytes_max, ",
        "`engine.instances_max` (flowgate.toml) is `0`; allowed: a whole number from 1 to 100000",
        "`sever` (flowgate.toml) is not a section; did you mean `server`? allowed: capability, delivery, dispatch, egress, ",
        "`server.listen` (FLOWGATE_SERVER_LISTEN) is `\"8080\"`; allowed: an address and a port, such as ",
        "`telemetry.log` (FLOWGATE_TELEMETRY_LOG) is `\"inof\"`; allowed: levels by comma, ",
        "`telemetry.format` (FLOWGATE_TELEMETRY_FORMAT) is `\"xml\"`; allowed: \"text\", \"json\"",
        "`store.readers` (FLOWGATE_STORE_READERS) is `-1`; allowed: a whole number from 1 to 256",
        "`egress.ports` (FLOWGATE_EGRESS_PORTS) is `[\"443\", \"http\"]`; allowed: a list of whole numbers from 1 to 65535",
        "`engin` (FLOWGATE_ENGIN_LOADED_MAX) is not a section; did you mean `engine`? ",
        "`queue.lease_s` (FLOWGATE_QUEUE_LEASE_S) is not a key; did you mean `lease_ms`? allowed: lease_ms, period_ms, setback_ms",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn models_are_read_from_sections_of_their_own() {
    let file = "[models.fast]\nprovider = \"anthropic\"\nmodel = \"a\"\nkey_env = \"KEY\"\nfallback = [\"near\"]";
    let near = ("FLOWGATE_MODELS_NEAR", "{ provider = \"ollama\", model = \"b\", max_tokens = 100 }");
    let read = config(file, &[near]).unwrap();
    assert_eq!(read.models.0.keys().collect::<Vec<_>>(), ["fast", "mock", "near"]);
    assert_eq!((read.models.0["near"].max_tokens, read.models.0["fast"].key_env.as_str()), (100, "KEY"));
    assert_eq!(config(&read.to_toml(), &[]).unwrap(), read);
}

#[test]
fn a_model_that_cannot_be_is_told_with_its_key_and_without_what_may_be_secret() {
    let file = "[models.fast]\nprovider = \"openai\"\n[models.\"a b\"]\n[models.x]\nkey = \"sk-secret\"\n\
                [models.y]\nmode = \"script\"\n[models.z]\nmax_tokens = 0";
    let problems = problems(file, &[("FLOWGATE_MODELS_OTHER", "sk-secret")]);
    let expected = [
        "`models.a b` (flowgate.toml) is not an alias; allowed: 1 to 64 of `a-z 0-9 _ -`",
        "`models.fast.model` (flowgate.toml) is missing; allowed: the provider's name of the model",
        "`models.x` (flowgate.toml) is refused: unknown field `key`, expected one of `provider`, `url`, ",
        "`models.y.script` (flowgate.toml) is missing; allowed: the path of a script, or `rules` instead",
        "`models.z.max_tokens` (flowgate.toml) is out of range; allowed: a whole number from 1 to 10000000",
        "`models.other` (FLOWGATE_MODELS_OTHER) is refused: ",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.starts_with(expected) && !problem.contains("sk-secret"), "{problem}\n{expected}");
    }
    let alone = self::problems("[models.fast]\nfallback = [\"none\"]", &[]);
    assert!(alone[0].starts_with("`models.fast.fallback` (all together) names `none`"), "{alone:?}");
}

#[test]
fn variables_that_are_none_of_ours_are_left_alone() {
    // What the command line reads, and what Kubernetes sets for a service called `flowgate`.
    let variables = [
        ("FLOWGATE_URL", "http://x"),
        ("FLOWGATE_KEY", "fgk_x"),
        ("FLOWGATE_PORT", "tcp://10.0.0.1:80"),
        ("FLOWGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("FLOWGATE_SERVICE_HOST", "10.0.0.1"),
        ("SERVER_LISTEN", "x"),
    ];
    assert_eq!(config("", &variables).unwrap(), Config::default());
}

#[test]
fn a_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flowgate.toml");
    assert!(matches!(read::file(&path), Err(Error::File { path: named, .. }) if named == path));
    std::fs::write(&path, "[server\n").unwrap();
    assert!(matches!(read::file(&path), Err(Error::Syntax { reason, .. }) if reason.contains("line 1")));
}
