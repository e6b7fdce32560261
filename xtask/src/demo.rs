//! The whole thing at work: a server with the example flows, and triggers of every kind sent to it by the project's own
//! command line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::guests;
use crate::receiver::{self, Delivery};
use crate::run::{cargo, root, run};

/// How long anything may take that works.
const PATIENCE: Duration = Duration::from_secs(60);

/// One example: its flow, how its caller proves itself, how it is answered, and what the answer must have.
struct Scene {
    flow: &'static str,
    about: &'static str,
    auth: &'static [&'static str],
    how: How,
    /// The file that is sent, and what it is, where that is not JSON.
    request: (&'static str, &'static [&'static str]),
    expected: &'static [(&'static str, &'static str)],
}

enum How {
    Sync,
    Poll,
    Callback,
    Stream,
}

const HMAC: &[&str] = &["--auth", "hmac-sha256", "--header", "x-signature", "--prefix", "sha256=", "--encoding", "hex"];

const JSON: (&str, &[&str]) = ("request.json", &[]);
const FORM: (&str, &[&str]) = ("request.form", &["--header", "Content-Type: application/x-www-form-urlencoded"]);

/// Pointers are into the reply, or into the whole answer of a flow that gives one.
const SCENES: &[Scene] = &[
    Scene {
        flow: "support_bot",
        about: "a customer writes to support; signed with HMAC-SHA256, answered in the response",
        auth: HMAC,
        how: How::Sync,
        request: JSON,
        expected: &[("/data/intent", "damaged_item"), ("/data/facts/order", "48213")],
    },
    Scene {
        flow: "document_extracted",
        about: "a document has been read; a bearer token, answered in the response",
        auth: &["--auth", "bearer"],
        how: How::Sync,
        request: JSON,
        expected: &[("/data/class", "invoice")],
    },
    Scene {
        flow: "payment_processed",
        about: "a payment went through; an API key in the query, answered in the response",
        auth: &["--auth", "api-key", "--query", "apiKey"],
        how: How::Sync,
        request: JSON,
        expected: &[("/data/balance", "1249.90 EUR")],
    },
    Scene {
        flow: "crm_update",
        about: "a contact has changed; Basic authentication, answered by a 202 and then by polling",
        auth: &["--auth", "basic", "--user", "crm"],
        how: How::Poll,
        request: JSON,
        expected: &[("/data/client/Email", "ada.lovelace@engine.example")],
    },
    Scene {
        flow: "suspicious_transaction",
        about: "a transaction was flagged; Standard Webhooks, answered by a 202 and later at a callback URL",
        auth: &["--auth", "standard-webhooks"],
        how: How::Callback,
        request: JSON,
        expected: &[("/data/level", "critical")],
    },
    Scene {
        flow: "ticket_status_changed",
        about: "a ticket was solved; signed with HMAC-SHA256, streamed as Server-Sent Events",
        auth: HMAC,
        how: How::Stream,
        request: JSON,
        expected: &[("/data/status", "solved")],
    },
    Scene {
        flow: "slack-command",
        about: "somebody typed a slash command; TypeScript, signed by Slack, answered in Slack's own JSON",
        auth: &["--auth", "slack"],
        how: How::Sync,
        request: FORM,
        expected: &[("/response_type", "in_channel")],
    },
    Scene {
        flow: "push-summary",
        about: "commits were pushed; Python, signed by GitHub, answered in the response",
        auth: &["--auth", "github"],
        how: How::Sync,
        request: JSON,
        expected: &[("/data/repository", "lovelace/engine")],
    },
];

/// Builds, starts, sends; then keeps serving, unless it is for once.
pub(crate) fn play_all(once: bool) -> Result<()> {
    guests::examples()?;
    run(cargo(".", &["build", "--locked", "--bin", "flowgate"]))?;
    let folder = std::env::temp_dir().join(format!("flowgate-demo-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let played = play(&folder, once);
    std::fs::remove_dir_all(&folder)?;
    played
}

fn play(folder: &Path, once: bool) -> Result<()> {
    let mut house = House::start(folder, once)?;
    let (url, deliveries) = receiver::start()?;
    say(&format!("\nA server runs at {}, its data in {}.\n", house.url, folder.display()))?;
    for scene in SCENES {
        house.play(scene, &url, &deliveries).with_context(|| format!("the scene `{}` went wrong", scene.flow))?;
    }
    say(&format!("\nAll {} answers were right.\n", SCENES.len()))?;
    if !once {
        say(&format!(
            "\nStill serving; try:\n\n  export FLOWGATE_URL={} FLOWGATE_KEY={}\n  {} execution list\n\nCtrl-C stops.\n",
            house.url,
            house.key,
            program()?.display()
        ))?;
        house.server.wait()?;
    }
    Ok(())
}

/// The running server.
struct House {
    server: Child,
    url: String,
    key: String,
    folder: PathBuf,
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Cargo puts the server where it has put this program.
fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe().context("the demo does not know where it is")?.with_file_name("flowgate"))
}

impl House {
    fn start(folder: &Path, once: bool) -> Result<Self> {
        let listen = if once { "127.0.0.1:0" } else { "127.0.0.1:8080" };
        let mut server = Command::new(program()?)
            .args(["serve", "--listen", listen, "--data"])
            .arg(folder.join("data"))
            // The demo's receiver is on this machine, where callbacks do not go unless they may.
            .env("FLOWGATE_EGRESS_ALLOW", "127.0.0.0/8")
            .stdout(Stdio::piped())
            .spawn()
            .context("the server cannot be started")?;
        let (mut url, mut key) = (None, None);
        for line in BufReader::new(server.stdout.take().context("no stdout")?).lines() {
            let line = line?;
            key = line.strip_prefix("admin key (shown once): ").map(str::to_owned).or(key);
            url = line.strip_prefix("listening on ").map(str::to_owned);
            if url.is_some() {
                break;
            }
        }
        let (url, key) = (url.context("the server did not start")?, key.context("the server showed no key")?);
        Ok(Self { server, url, key, folder: folder.to_owned() })
    }

    /// Runs a command of flowgate and returns what it prints.
    fn flowgate(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program()?);
        let output = command.args(args).env("FLOWGATE_URL", &self.url).env("FLOWGATE_KEY", &self.key).output()?;
        let told = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`flowgate {}` failed: {told}", args.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let printed = self.flowgate(&[args, &["--json"]].concat())?;
        serde_json::from_str(&printed)
            .with_context(|| format!("`flowgate {}` printed no JSON: {printed}", args.join(" ")))
    }

    fn play(&self, scene: &Scene, callback: &str, deliveries: &Receiver<Delivery>) -> Result<()> {
        say(&format!("\n## {}: {}\n", scene.flow, scene.about))?;
        let built = ["examples/target/wasm32-wasip2/release", "target/components"];
        let mut built = built.iter().map(|folder| root().join(folder).join(format!("{}.wasm", scene.flow)));
        let component = built.find(|path| path.exists()).context("the example is not built")?;
        self.flowgate(&["deploy", scene.flow, text(&component)?])?;
        let mut create = vec!["hook", "create", scene.flow, "--flow", scene.flow];
        create.extend(scene.auth);
        if let How::Callback = scene.how {
            create.extend(["--mode", "async", "--callback", callback]);
        }
        let hook = self.json(&create)?;
        let proof = secret(&hook, "auth")?;
        let (file, kind) = scene.request;
        let request = root().join("examples").join(scene.flow).join(file);
        let mut send = vec!["send", scene.flow, text(&request)?, "--secret", &proof];
        send.extend(kind);
        match scene.how {
            How::Sync | How::Callback => {}
            How::Poll => send.push("--async"),
            How::Stream => send.push("--stream"),
        }
        say(&format!("\n{}\n", self.flowgate(&[&send[..], &["--curl"]].concat())?.trim_end()))?;
        let reply = match scene.how {
            How::Sync => self.json(&send)?,
            How::Poll => self.poll(&send)?,
            How::Callback => self.callback(&send, &secret(&hook, "callback")?, deliveries)?,
            How::Stream => self.stream(&send)?,
        };
        let reply = reply.get("reply").unwrap_or(&reply);
        say(&format!("\n{}\n", serde_json::to_string_pretty(reply)?))?;
        for (pointer, expected) in scene.expected {
            let found = reply.pointer(pointer).cloned().unwrap_or(Value::Null);
            ensure!(found == json!(expected), "`{pointer}` of the reply is {found}, not {expected:?}");
        }
        Ok(())
    }

    fn poll(&self, send: &[&str]) -> Result<Value> {
        let accepted = self.json(send)?;
        say(&format!("\n202 {accepted}\n"))?;
        let id = accepted["execution_id"].as_str().context("no execution id")?;
        for _ in 0..PATIENCE.as_millis() / 50 {
            let execution = self.json(&["execution", "show", id])?;
            if execution["status"] == "succeeded" {
                return Ok(execution);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("execution {id} does not end")
    }

    fn callback(&self, send: &[&str], secret: &str, deliveries: &Receiver<Delivery>) -> Result<Value> {
        let accepted = self.json(send)?;
        say(&format!("\n202 {accepted}\n"))?;
        let delivery = deliveries.recv_timeout(PATIENCE).context("no callback came")?;
        let [headers, body, key] = ["headers", "body", "secret"].map(|name| self.folder.join(name));
        std::fs::write(&headers, &delivery.headers)?;
        std::fs::write(&body, &delivery.body)?;
        std::fs::write(&key, secret)?;
        let checked = self.flowgate(&[
            "signature",
            "check",
            "--scheme",
            "standard-webhooks",
            "--secret-file",
            text(&key)?,
            "--headers-file",
            text(&headers)?,
            "--body-file",
            text(&body)?,
        ])?;
        say(&format!("\nThe callback, {}:\n\n{}", checked.trim_end(), delivery.headers))?;
        let event: Value = serde_json::from_slice(&delivery.body)?;
        ensure!(event["data"]["execution_id"] == accepted["execution_id"], "a callback of another execution came");
        Ok(event["data"].clone())
    }

    fn stream(&self, send: &[&str]) -> Result<Value> {
        let printed = self.flowgate(send)?;
        say(&format!("\n{}\n", printed.trim_end()))?;
        let listed = self.json(&["execution", "list", "--flow", "ticket_status_changed", "--limit", "1"])?;
        let id = listed["data"][0]["id"].as_str().context("no execution is listed")?;
        self.json(&["execution", "show", id])
    }
}

fn secret(hook: &Value, for_use: &str) -> Result<String> {
    let secrets = hook["secrets"].as_array().context("the hook shows no secrets")?;
    let secret = secrets.iter().find(|secret| secret["use"] == for_use).context("the hook has no such secret")?;
    Ok(secret["secret"].as_str().context("the secret is not shown")?.to_owned())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the repository's path is not text")
}

fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
