//! `flowgate test`: the project's cases, each on a new flow of a server in this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::Method;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;
use tempfile::TempDir;

use super::build::{At, told};
use super::local::Local;
use super::out::{Out, lines};
use super::responder::Responder;
use super::talk::Talk;
use crate::app::Server;
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::egress::Client;
use crate::llm::Spec;
use crate::project::case::{Case, find};
use crate::project::{Manifest, Project};

/// A flow that keeps the component while those of the cases come and go.
const KEEPER: &str = "flowgate-test-keeper";

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// Cases; all of the project unless some are given.
    files: Vec<PathBuf>,
    #[command(flatten)]
    at: At,
    /// Do not build before.
    #[arg(long)]
    no_build: bool,
    /// Write the outcome as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// A configuration file of the server, for example with limits or models.
    #[arg(long, env = "FLOWGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What came of a case.
struct Tried {
    name: String,
    faults: Vec<String>,
    took: Duration,
}

impl Test {
    pub(super) fn run(self, out: Out) -> anyhow::Result<ExitCode> {
        let project = self.at.project()?;
        let mut config = Config::load(self.config.as_deref())?;
        config.server.listen.set_port(0);
        let runtime = crate::app::runtime(&config)?;
        let tried = runtime.block_on(async {
            tokio::select! {
                tried = self.all(&project, config, out) => tried,
                _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped"),
            }
        })?;
        let failed = tried.iter().filter(|one| !one.faults.is_empty()).count();
        if let Some(path) = &self.junit {
            let xml = junit(&project.manifest.name, &tried).to_string()?;
            std::fs::write(path, xml).with_context(|| format!("cannot write {}", path.display()))?;
        }
        if out.is_json() {
            let cases = tried.iter().map(|one| json!({ "case": one.name, "faults": one.faults }));
            out.data(&json!({ "passed": tried.len() - failed, "failed": failed, "cases": cases.collect::<Vec<_>>() }))?;
        }
        out.done(format_args!("\n{} passed, {failed} failed", tried.len() - failed))?;
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn all(&self, project: &Project, config: Config, out: Out) -> anyhow::Result<Vec<Tried>> {
        let cases = self.cases(project)?;
        if !self.no_build {
            out.hint(told(&project.build().await?))?;
        }
        let shared = Bench::open(project, &BTreeMap::new(), config.clone()).await?;
        let mut tried = Vec::with_capacity(cases.len());
        for (path, case) in &cases {
            let name = path.strip_prefix(&project.folder).unwrap_or(path).display().to_string();
            let watch = Stopwatch::start();
            // Models are a matter of the whole server.
            let own = match case.models.is_empty() {
                true => None,
                false => Some(Bench::open(project, &case.models, config.clone()).await?),
            };
            let faults = own.as_ref().unwrap_or(&shared).run(case).await.with_context(|| name.clone())?;
            if let Some(own) = own {
                own.local.stop().await;
            }
            let one = Tried { name, faults, took: watch.elapsed() };
            out.done(shown(&one))?;
            tried.push(one);
        }
        shared.local.stop().await;
        Ok(tried)
    }

    fn cases(&self, project: &Project) -> anyhow::Result<Vec<(PathBuf, Case)>> {
        let folder = project.folder.join(&project.manifest.test.cases);
        let files = if self.files.is_empty() { find(&folder)? } else { self.files.clone() };
        if files.is_empty() {
            anyhow::bail!("there is no case in {}", folder.display());
        }
        let read = |path: PathBuf| Ok((path.canonicalize().unwrap_or_else(|_| path.clone()), Case::read(&path)?));
        files.into_iter().map(read).collect()
    }
}

/// A server for cases, and whoever their flows call.
struct Bench<'a> {
    project: &'a Project,
    local: Local,
    responder: Responder,
    _folder: TempDir,
}

impl<'a> Bench<'a> {
    async fn open(project: &'a Project, models: &BTreeMap<String, Spec>, mut config: Config) -> anyhow::Result<Self> {
        let (folder, responder) = (tempfile::tempdir()?, Responder::default());
        let mut all = project.manifest.models.clone();
        all.extend(models.clone());
        project.models(&all, &mut config.models.0);
        let client = Client::instead(responder.start().await?, &config.egress);
        let local = Local::run(Server::sending_by(client, config, folder.path()).await?).await?;
        let keeper = Manifest { name: KEEPER.to_owned(), ..project.manifest.clone() };
        local.flow(&keeper).await?;
        local.live(KEEPER, &project.component()).await?;
        Ok(Self { project, local, responder, _folder: folder })
    }

    /// Runs all turns, on a flow that is made for them and removed after. Returns all that is not as it has to be.
    async fn run(&self, case: &Case) -> anyhow::Result<Vec<String>> {
        let (mut manifest, remote) = (self.project.manifest.clone(), &self.local.remote);
        manifest.config.extend(case.config.clone());
        self.local.flow(&manifest).await?;
        for secret in &case.secrets {
            let value = json!({ "value": format!("secret-{secret}") });
            remote.send(Method::PUT, &["v1", "flows", &manifest.name, "secrets", secret], &value).await?;
        }
        self.local.live(&manifest.name, &self.project.component()).await?;
        self.responder.begin(&case.http);
        let spec = json!({
            "name": manifest.name, "flow": manifest.name, "dialect": case.dialect, "auth": [{ "scheme": "none" }],
            "deduplicate": "off",
        });
        let hook = remote.send(Method::POST, &["v1", "hooks"], &spec).await?;
        let mut faults = Talk { case, hook: &hook, remote, sessions: "" }.hold().await?;
        faults.extend(self.responder.faults());
        remote.act(Method::DELETE, &["v1", "hooks", &manifest.name]).await?;
        remote.act(Method::DELETE, &["v1", "flows", &manifest.name]).await?;
        Ok(faults)
    }
}

fn shown(one: &Tried) -> String {
    let mark = if one.faults.is_empty() { "ok  " } else { "FAIL" };
    let faults = one.faults.iter().map(|fault| format!("\n       {}", lines(fault).replace('\n', "\n       ")));
    format!("{mark}  {}  ({} ms){}", one.name, one.took.as_millis(), faults.collect::<String>())
}

fn junit(flow: &str, tried: &[Tried]) -> Report {
    let mut suite = TestSuite::new(flow);
    for one in tried {
        let status = if one.faults.is_empty() {
            TestCaseStatus::success()
        } else {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(one.faults[0].lines().next().unwrap_or_default());
            status.set_description(one.faults.join("\n"));
            status
        };
        let mut case = TestCase::new(case_name(&one.name), status);
        case.set_classname(flow).set_time(one.took);
        suite.add_test_case(case);
    }
    let mut report = Report::new("flowgate test");
    report.add_test_suite(suite);
    report
}

fn case_name(path: &str) -> String {
    Path::new(path).with_extension("").display().to_string()
}
