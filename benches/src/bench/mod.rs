//! `cargo xtask bench`: what is measured, in what order.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::case::{Programs, Stage, Subject};
use crate::machine;
use crate::report::{Report, Row};

mod cases;
mod growth;
mod measure;
mod past;
mod starts;

/// A run.
#[derive(Debug)]
pub struct Bench {
    /// What is measured.
    pub programs: Programs,
    /// The core of the servers, where there is one of their own.
    pub core: Option<usize>,
    /// How long each measurement takes.
    pub duration: Duration,
    /// Times that everything is measured, by turns.
    pub repeats: usize,
    /// Restarts of which the first reply is taken.
    pub restarts: usize,
    /// Executions on record where growth is measured.
    pub executions: u32,
    /// Only the cases whose name contains one of these, and `bare`; all when empty.
    pub only: Vec<String>,
}

impl Bench {
    /// Measures everything.
    pub async fn run(&self) -> Result<Report> {
        let rows = self.rows().await?;
        let starts = match ["cold_first_reply", "idle", "upload"].iter().any(|name| self.wants(name)) {
            true => {
                self.tell("starts and uploads")?;
                Some(starts::measure(&self.programs, self.core, self.restarts).await?)
            }
            false => None,
        };
        Ok(Report {
            date: jiff::Timestamp::now().strftime("%F").to_string(),
            machine: machine::described(),
            pinned: self.core.is_some(),
            fsync: machine::fsync(&self.programs.data)?,
            repeats: self.repeats,
            seconds: self.duration.as_secs(),
            rows,
            starts,
            growth: growth::measure(self).await?,
        })
    }

    /// The cases take turns, so that what else happens on the machine happens to all.
    async fn rows(&self) -> Result<Vec<Row>> {
        let cases = cases::all().into_iter().filter(|case| self.has(&case.subject));
        let cases = cases.filter(|case| case.name == "bare" || self.wants(case.name));
        let mut all: Vec<(Stage, Row)> =
            cases.map(|case| (Stage::of(case.clone()), Row::of(case.name, case.what, case.topic))).collect();
        for repeat in 1..=self.repeats {
            for (stage, row) in &mut all {
                let (name, connections) = (stage.case.name, stage.case.connections);
                self.tell(&format!("{repeat} of {}: {name}", self.repeats))?;
                let running = stage.start(&self.programs, self.core).await.context(name)?;
                row.repeats.push(measure::whole(running, connections, self.duration).await.context(name)?);
            }
        }
        Ok(all.into_iter().map(|(_, row)| row).collect())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part.as_str()))
    }

    /// Whether it is there: some are built by other tools.
    fn has(&self, subject: &Subject) -> bool {
        match subject {
            Subject::WasmtimeServe(_) => self.programs.wasmtime.exists(),
            Subject::Flowgate(flow) => !flow.component.contains('/') || Path::new(flow.component).exists(),
            Subject::Bare | Subject::BareWasm => true,
        }
    }

    fn tell(&self, what: &str) -> Result<()> {
        Ok(writeln!(std::io::stderr(), "{what}")?)
    }
}
