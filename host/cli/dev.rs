//! `flowgate dev`: a server for the project at hand that runs what its author has just saved.

mod show;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::build::{At, told};
use super::local::Local;
use super::out::Out;
use super::secret::SecretArgs;
use super::send::{Send, quoted};
use crate::app::Server;
use crate::clock::Clock;
use crate::config::Config;
use crate::project::{Error, Project};

/// Where it listens unless the port is taken, so that a command from yesterday works today.
const LISTEN: &str = "127.0.0.1:8088";

#[derive(Debug, clap::Args)]
pub(super) struct Dev {
    #[command(flatten)]
    at: At,
    /// Where to listen; 127.0.0.1:8088, or any free port, unless it is given.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// A configuration file of the server, for example with models.
    #[arg(long, env = "FLOWGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep what requests and models answer, so that `flowgate execution export` makes whole cases.
    #[arg(long)]
    record: bool,
}

impl Dev {
    pub(super) fn run(self, out: Out) -> anyhow::Result<()> {
        let project = self.at.project()?;
        let config = Config::load(self.config.as_deref())?;
        let runtime = crate::app::runtime(&config)?;
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let local = Local::run(self.open(config, &project).await?).await?;
            let done = tokio::select! {
                done = develop(project, &local, out) => done,
                _ = tokio::signal::ctrl_c() => Ok(()),
                _ = terminate.recv() => Ok(()),
            };
            out.hint("\nstopping")?;
            local.stop().await;
            done
        })
    }

    async fn open(&self, mut config: Config, project: &Project) -> anyhow::Result<Server> {
        project.models(&project.manifest.models, &mut config.models.0);
        config.capability.record_answers |= self.record;
        let data = project.scratch().join("data");
        let usual = LISTEN.parse().expect("an address");
        config.server.listen = self.listen.unwrap_or(usual);
        match Server::open(config.clone(), &data).await {
            Err(crate::app::Error::Listen { .. }) if self.listen.is_none() => {
                config.server.listen.set_port(0);
                Ok(Server::open(config, &data).await?)
            }
            opened => Ok(opened?),
        }
    }
}

async fn develop(mut project: Project, local: &Local, out: Out) -> anyhow::Result<()> {
    let name = project.manifest.name.clone();
    local.flow(&project.manifest).await?;
    let hook = hook(&project, local).await?;
    // The watch begins before the build: what is saved meanwhile is built next.
    let mut watch = project.watch()?;
    if out.is_json() {
        out.data_line(&json!({ "event": "serving", "url": local.url, "hook": hook["url_path"] }))?;
    }
    let url = local.url.as_str().trim_end_matches('/');
    out.done(format_args!("{name} on {url}   (data in .flowgate/, Ctrl-C ends it)"))?;
    let mut ready = swap(&project, local, out).await?;
    if ready {
        commands(&project, &hook, local, out)?;
    }
    // It is never stopped in the middle, so that it tells everything.
    let mut shown = show::Shown::new(&local.remote, &name, out).await?;
    let mut following = pin!(shown.follow());
    loop {
        tokio::select! {
            () = watch.changed() => {}
            done = &mut following => return done,
        }
        out.done("")?;
        match Project::find(&project.folder) {
            Ok(read) => project = read,
            Err(error) => {
                out.complain(&error.into())?;
                continue;
            }
        }
        local.flow(&project.manifest).await?;
        watch = project.watch()?;
        // What runs meanwhile is shown meanwhile.
        let built = tokio::select! {
            built = swap(&project, local, out) => built?,
            done = &mut following => return done,
        };
        if built && !ready {
            commands(&project, &hook, local, out)?;
        }
        ready |= built;
    }
}

/// Builds and makes the result live. False when there is nothing new: the old version goes on.
async fn swap(project: &Project, local: &Local, out: Out) -> anyhow::Result<bool> {
    out.hint(format_args!("building: {}", project.manifest.build.command))?;
    let live = async {
        let built = project.build().await?;
        out.hint(told(&built))?;
        local.live(&project.manifest.name, &built.component).await
    };
    match live.await {
        Ok(version) => {
            let digest = version["digest"].as_str().unwrap_or_default();
            if out.is_json() {
                out.data_line(&json!({ "event": "live", "version": digest }))?;
            }
            out.done(format_args!("live: {}", &digest[..digest.len().min("sha256:".len() + 12)]))?;
            Ok(true)
        }
        Err(error) => {
            out.complain(&error)?;
            if out.is_json() {
                out.data_line(&json!({ "event": "failed", "error": format!("{error:#}") }))?;
            }
            if error.downcast_ref::<Error>().is_none() {
                out.hint("the version before stays live")?;
            } else {
                out.hint("the version before, if there was one, stays live; save a change to try again")?;
            }
            Ok(false)
        }
    }
}

/// Makes the hook anew, so that it is as it should be, with the path and the secret of before.
async fn hook(project: &Project, local: &Local) -> anyhow::Result<Value> {
    let (name, remote) = (&project.manifest.name, &local.remote);
    let secret = secret(&project.scratch().join("secret"))?;
    if remote.find(&["v1", "hooks", name]).await?.is_some() {
        remote.act(Method::DELETE, &["v1", "hooks", name]).await?;
    }
    let spec =
        json!({ "name": name, "flow": name, "path_id": name, "auth": [{ "scheme": "bearer" }], "secret": secret });
    let hook = remote.send(Method::POST, &["v1", "hooks"], &spec).await?;
    let environment = format!(
        "export FLOWGATE_URL={}\nexport FLOWGATE_KEY={}\nexport FLOWGATE_SECRET={}\n",
        quoted(local.url.as_str()),
        quoted(local.key.expose()),
        quoted(&secret)
    );
    write(&project.scratch().join("env"), &environment)?;
    Ok(hook)
}

/// Two commands that reach the flow.
fn commands(project: &Project, hook: &Value, local: &Local, out: Out) -> anyhow::Result<()> {
    let secret = project.scratch().join("secret");
    let send = Send {
        hook: project.manifest.name.clone(),
        file: None,
        message: Some("Hello".to_owned()),
        session: Some("s1".to_owned()),
        user: None,
        data: None,
        respond_async: false,
        wait: None,
        stream: false,
        secret: SecretArgs { secret: None, secret_file: Some(secret) },
        headers: Vec::new(),
        curl: true,
    };
    let path = hook["url_path"].as_str().context("the server's answer has no `url_path`")?;
    let url = local.remote.at(&path.split('/').skip(1).collect::<Vec<_>>(), &[]);
    let curl = send.signed(hook, url, Clock::system().now())?.curl(None)?;
    let environment = project.scratch().join("env");
    out.hint(format_args!(
        "\ntry it from another terminal:\n\n{curl}\n\n. {} && flowgate send {} --message Hello --session s1\n",
        quoted(&environment.display().to_string()),
        project.manifest.name
    ))?;
    Ok(())
}

/// The secret that the folder keeps; made when there is none.
fn secret(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(secret) if !secret.trim().is_empty() => Ok(secret.trim().to_owned()),
        _ => {
            let secret = format!("{:032x}", rand::random::<u128>());
            write(path, &secret)?;
            Ok(secret)
        }
    }
}

/// Writes what nobody else on this machine should read.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let open = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    open.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
