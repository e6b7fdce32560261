//! A running house: the real binary over its own data folder, and what is needed to talk to it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use flowgate::egress::{self, Client, Policy};
use flowgate::signature::{Message, Scheme, Secret, sign};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

pub(crate) mod disk;
pub(crate) mod mute;
pub(crate) mod postbox;
pub(crate) mod project;
pub(crate) mod receiver;
pub(crate) mod reference;
pub(crate) mod reflector;
pub(crate) mod registry;

/// Long enough for anything that works, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, its data, and the admin key of its first start. Dropped, it is killed.
pub(crate) struct House {
    child: Child,
    pub(crate) url: Url,
    pub(crate) key: String,
    pub(crate) folder: TempDir,
    environment: Vec<(String, String)>,
    client: Client,
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The answer's JSON, if the status is the expected one.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// The slug of the problem, if the status is the expected one.
    pub(crate) fn problem(self, status: u16) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        self.expect(status)["code"].as_str().unwrap().to_owned()
    }
}

/// A hook as the API gave it, with its secrets.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) scheme: Scheme,
    pub(crate) secret: String,
    pub(crate) json: Value,
}

impl House {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with `FLOWGATE_…` variables. Callbacks to this machine are allowed, as the receivers are here.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), environment).await
    }

    /// The same in a folder that is there.
    pub(crate) async fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let mut environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        environment.push(("FLOWGATE_EGRESS_ALLOW".to_owned(), "127.0.0.0/8".to_owned()));
        let (child, url, key) = launch(folder.path(), &environment).await;
        let client =
            Client::under(Policy::anywhere(), &egress::Options { answer_bytes_max: 64 << 20, ..Default::default() });
        Self { child, url, key: key.expect("the first start shows a key"), folder, environment, client }
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts the killed or ended server again, over the same data.
    pub(crate) async fn restart(&mut self) {
        let (child, url, key) = launch(self.folder.path(), &self.environment).await;
        assert_eq!(key, None, "the key is shown once");
        (self.child, self.url) = (child, url);
    }

    /// Asks the server to stop.
    pub(crate) fn terminate(&self) {
        let sent = send_sigterm(self.child.id());
        assert!(sent, "the server takes the signal");
    }

    /// Waits for the server to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(tokio::time::Instant::now() < end, "the server does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// A request to the management API.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.key)).unwrap();
        let mut headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
        if body.is_some() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        self.request(method, path, headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.api(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.api(Method::POST, path, Some(body)).await
    }

    /// Any request.
    pub(crate) async fn request(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Answer {
        self.try_request(method, path, headers, body).await.unwrap()
    }

    /// Any request; the server may be gone.
    pub(crate) async fn try_request(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, egress::Error> {
        let url = self.url.join(path).unwrap();
        let request = egress::Request { method, url, headers, body: body.into(), deadline: PATIENCE, identity: None };
        let answer = self.client.send(request).await?;
        Ok(Answer { status: answer.status, headers: answer.headers, body: answer.body })
    }

    /// Uploads bytes as a version of a flow, which is made if need be.
    pub(crate) async fn upload(&self, flow: &str, component: Bytes) -> Answer {
        let made = self.post("/v1/flows", json!({ "name": flow })).await;
        assert!(matches!(made.status.as_u16(), 201 | 409), "{}", made.text());
        self.add_version(flow, component).await
    }

    /// Uploads bytes as a version of a flow that is there.
    pub(crate) async fn add_version(&self, flow: &str, component: Bytes) -> Answer {
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.key)).unwrap();
        let headers = HeaderMap::from_iter([
            (http::header::AUTHORIZATION, bearer),
            (http::header::CONTENT_TYPE, HeaderValue::from_static("application/wasm")),
        ]);
        self.request(Method::POST, &format!("/v1/flows/{flow}/versions?wait=60"), headers, component).await
    }

    /// Uploads a guest, waits until it is compiled, and makes it live. Returns its digest.
    pub(crate) async fn deploy(&self, flow: &str, guest: &str) -> String {
        self.deploy_bytes(flow, component(guest)).await
    }

    /// The same with a component's bytes.
    pub(crate) async fn deploy_bytes(&self, flow: &str, component: Bytes) -> String {
        let answer = self.upload(flow, component).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        let version = answer.json();
        assert_eq!(version["state"], "ready", "{version}");
        let digest = version["digest"].as_str().unwrap().to_owned();
        let promote = json!({ "version": digest });
        self.api(Method::PUT, &format!("/v1/flows/{flow}/aliases/live"), Some(promote)).await.expect(200);
        digest
    }

    /// Runs `flowgate` as somebody at a shell would, with no end to their patience, and returns what it printed.
    pub(crate) async fn typed(&self, words: &[&str], secret: Option<&str>) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
        command.args(words).env("FLOWGATE_URL", self.url.as_str()).env("FLOWGATE_KEY", &self.key);
        command.env_remove("FLOWGATE_SECRET").envs(secret.map(|secret| ("FLOWGATE_SECRET", secret)));
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Makes a hook for a flow. `spec` has the members of a hook beside its name and flow.
    pub(crate) async fn hook(&self, flow: &str, spec: Value) -> Hook {
        let mut body = json!({ "name": format!("{flow}-hook-{}", rand::random::<u32>()), "flow": flow });
        for (name, value) in spec.as_object().unwrap() {
            body[name] = value.clone();
        }
        let hook = self.post("/v1/hooks", body).await.expect(201);
        let secret = hook["secrets"].as_array().unwrap().iter().find(|secret| secret["use"] == "auth");
        Hook {
            id: hook["id"].as_str().unwrap().to_owned(),
            path: hook["url_path"].as_str().unwrap().to_owned(),
            scheme: serde_json::from_value(hook["auth"][0].clone()).unwrap(),
            secret: secret.map_or(String::new(), |secret| secret["secret"].as_str().unwrap().to_owned()),
            json: hook,
        }
    }

    /// Deploys a guest and makes a hook for it, proved by HMAC.
    pub(crate) async fn flow(&self, guest: &str) -> Hook {
        self.deploy(&guest.replace('_', "-"), guest).await;
        self.hook(&guest.replace('_', "-"), json!({ "auth": [hmac()] })).await
    }

    /// A genuine trigger with a JSON body.
    pub(crate) async fn send(&self, hook: &Hook, body: Value) -> Answer {
        self.send_with(hook, &[], Bytes::from(body.to_string())).await
    }

    /// A genuine trigger with more headers.
    pub(crate) async fn send_with(&self, hook: &Hook, more: &[(&'static str, &str)], body: Bytes) -> Answer {
        self.try_send(hook, more, body).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        hook: &Hook,
        more: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, egress::Error> {
        let mut headers =
            HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        for (name, value) in more {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let (headers, path) = hook.signed(headers, &body);
        self.try_request(Method::POST, &path, headers, body).await
    }

    /// Waits until an execution has ended, and returns it.
    pub(crate) async fn ended_execution(&self, id: &str) -> Value {
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let execution = self.get(&format!("/v1/executions/{id}")).await.expect(200);
            if !matches!(execution["status"].as_str(), Some("queued" | "running" | "waiting")) {
                return execution;
            }
            assert!(tokio::time::Instant::now() < end, "the execution does not end: {execution}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Hook {
    /// The headers and the path of a genuine request.
    pub(crate) fn signed(&self, mut headers: HeaderMap, body: &[u8]) -> (HeaderMap, String) {
        let url = Url::parse("http://hook.invalid").unwrap().join(&self.path).unwrap();
        let message =
            Message { method: "POST", path: url.path(), query: "", headers: &headers, body, public_url: None };
        let secrets = if self.secret.is_empty() { vec![] } else { vec![Secret::new(self.secret.clone())] };
        let id = format!("msg_{:x}", rand::random::<u128>());
        let proof = sign(&self.scheme, &secrets, &message, &id, now_ms()).unwrap();
        headers.extend(proof.headers);
        let mut url = url;
        if !proof.query.is_empty() {
            url.query_pairs_mut().extend_pairs(proof.query);
        }
        (headers, url[url::Position::BeforePath..].to_owned())
    }
}

/// The scheme that most tests use.
pub(crate) fn hmac() -> Value {
    json!({ "scheme": "hmac-sha256", "header": "x-signature", "encoding": "hex", "prefix": "sha256=" })
}

/// `openssl dgst -sha256 -hmac "$SECRET"`
pub(crate) fn hmac_hex(secret: &str, body: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The bytes of a guest or example that `cargo xtask test` has built.
pub(crate) fn component(name: &str) -> Bytes {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = ["hostile", "refused"].map(|folder| root.join(format!("guests/{folder}/{name}.wat")));
    if let Some(text) = texts.iter().find(|text| text.exists()) {
        return wat::parse_file(text).unwrap().into();
    }
    let built = |workspace: &str| root.join(format!("{workspace}/target/wasm32-wasip2/release/{name}.wasm"));
    // Those in other languages, and those that were not written for this host.
    let others = ["target/components/{}.wasm", "target/foreign/wasm32-wasip2/release/examples/{}.wasm"];
    let others = others.map(|path| root.join(path.replace("{}", name)));
    let found = [built("guests"), built("examples")].into_iter().chain(others).find(|path| path.exists());
    let found: PathBuf =
        found.unwrap_or_else(|| panic!("there is no guest `{name}`; `cargo xtask guests` builds them"));
    std::fs::read(found).unwrap().into()
}

/// The folder into which `cargo xtask senders` has installed programs of others.
pub(crate) fn installed(of: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/senders").join(of);
    assert!(folder.join("installed").exists(), "there are no senders for {of}; `cargo xtask senders` installs them");
    folder
}

pub(crate) fn now_ms() -> i64 {
    flowgate::clock::Clock::system().now().unix_ms()
}

/// Sends SIGTERM by the system's own tool, so that the tests need no unsafe code.
fn send_sigterm(process: u32) -> bool {
    Command::new("kill").args(["-TERM", &process.to_string()]).status().is_ok_and(|status| status.success())
}

async fn launch(folder: &Path, environment: &[(String, String)]) -> (Child, Url, Option<String>) {
    let (folder, environment) = (folder.to_owned(), environment.to_vec());
    tokio::task::spawn_blocking(move || {
        // What a test asks to be logged it wants to read.
        let logs = environment.iter().any(|(name, _)| name == "FLOWGATE_TELEMETRY_LOG");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_flowgate"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("data"))
            .env("RUST_BACKTRACE", "0")
            .env("FLOWGATE_TELEMETRY_LOG", "warn")
            .envs(environment)
            .stdout(Stdio::piped())
            .stderr(if logs { log.into() } else { Stdio::inherit() })
            .spawn()
            .unwrap();
        let mut key = None;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(shown) = line.strip_prefix("admin key (shown once): ") {
                key = Some(shown.to_owned());
            }
            if let Some(url) = line.strip_prefix("listening on ") {
                return (child, Url::parse(url).unwrap(), key);
            }
        }
        let status = child.wait().unwrap();
        panic!("the server did not start: {status}");
    })
    .await
    .unwrap()
}
