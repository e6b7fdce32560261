//! `flowgate delivery`.

use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::out::{Columns, Out, fields, table};
use super::remote::Remote;
use crate::clock::Timestamp;

/// What a dead letter is.
const DEAD: &str = "exhausted,abandoned";

#[derive(Debug, Subcommand)]
pub(super) enum Delivery {
    /// List deliveries, newest first.
    List(List),
    /// List the dead letters: what has failed for good and can be sent again.
    Dead(Selected),
    /// Show a delivery with its attempts.
    Show(Named),
    /// Deliver again, at the beginning of the schedule.
    Redeliver(Named),
    /// Give up what waits or has failed, for good.
    Discard(Named),
    /// Deliver again everything that has failed for a target since a time.
    Recover {
        /// `hok_…` for the callback of a hook, `sub_…` for a subscription.
        target: String,
        /// Only what has failed then or later, RFC 3339.
        #[arg(long, value_name = "TIME")]
        since: Timestamp,
        /// Only say how much it would be.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show how the attempts for a target have gone.
    Stats {
        /// `hok_…` for the callback of a hook, `sub_…` for a subscription.
        target: String,
        /// The last so many hours.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// `dlv_…`
    delivery: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only those that stand so: pending, succeeded, exhausted, abandoned, discarded, filtered.
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    #[command(flatten)]
    selected: Selected,
}

/// Which deliveries.
#[derive(Debug, clap::Args)]
pub(super) struct Selected {
    /// Only those of an execution.
    #[arg(long)]
    execution: Option<String>,
    /// Only those for a target, `hok_…` or `sub_…`.
    #[arg(long)]
    target: Option<String>,
    /// Only those of an event, such as `execution.failed`.
    #[arg(long)]
    event: Option<String>,
    /// Only those made then or later, RFC 3339.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only those made before, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    #[command(flatten)]
    paging: Paging,
}

const LIST: Columns<'_> = &[
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("ATTEMPTS", "/attempts_made"),
    ("EVENT", "/event"),
    ("NEXT", "/next_at"),
    ("TARGET", "/target"),
    ("URL", "/url"),
];
const DEAD_LETTERS: Columns<'_> = &[
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("ATTEMPTS", "/attempts_made"),
    ("EVENT", "/event"),
    ("FINISHED", "/finished_at"),
    ("TARGET", "/target"),
    ("ERROR", "/error"),
];
const ONE: Columns<'_> = &[
    ("id", "/id"),
    ("status", "/status"),
    ("event", "/event"),
    ("target", "/target"),
    ("url", "/url"),
    ("lane", "/lane"),
    ("execution", "/execution_id"),
    ("created", "/created_at"),
    ("next attempt", "/next_at"),
    ("finished", "/finished_at"),
    ("error", "/error"),
    ("body", "/body"),
];
const ATTEMPTS: Columns<'_> = &[
    ("N", "/n"),
    ("AT", "/at"),
    ("STATUS", "/status"),
    ("MS", "/duration_ms"),
    ("BLAME", "/blame"),
    ("ERROR", "/error"),
    ("ANSWER", "/answer"),
];
const STATS: Columns<'_> = &[
    ("target", "/target"),
    ("standing", "/standing"),
    ("failures in a row", "/failures"),
    ("failing since", "/failing_since"),
    ("held until", "/held_until"),
    ("attempts", "/attempts"),
    ("succeeded", "/succeeded"),
    ("success rate", "/success_rate"),
    ("p50 ms", "/p50_ms"),
    ("p95 ms", "/p95_ms"),
    ("p99 ms", "/p99_ms"),
];
const HOURS: Columns<'_> =
    &[("HOUR", "/at"), ("ATTEMPTS", "/attempts"), ("FAILED", "/failed"), ("P50_MS", "/p50_ms"), ("P99_MS", "/p99_ms")];

impl Selected {
    fn query(self) -> Vec<(&'static str, String)> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let mut query = self.paging.query();
        query.extend(self.execution.map(|execution| ("execution", execution)));
        query.extend(self.target.map(|target| ("target", target)));
        query.extend(self.event.map(|event| ("event", event)));
        query.extend(time(self.since).map(|since| ("since", since)));
        query.extend(time(self.until).map(|until| ("until", until)));
        query
    }
}

impl Delivery {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::List(List { status, selected }) => {
                let mut query = selected.query();
                query.extend(Some(("status", status.join(","))).filter(|_| !status.is_empty()));
                out.list(&remote.get(&["v1", "deliveries"], &query).await?, LIST)?;
            }
            Self::Dead(selected) => {
                let mut query = selected.query();
                query.push(("status", DEAD.to_owned()));
                out.list(&remote.get(&["v1", "deliveries"], &query).await?, DEAD_LETTERS)?;
            }
            Self::Show(Named { delivery }) => {
                let told = |delivery: &Value| {
                    let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
                    format!("{}\n{}", fields(ONE, delivery), table(ATTEMPTS, attempts))
                };
                out.answer(&remote.get(&["v1", "deliveries", &delivery], &[]).await?, told)?;
            }
            Self::Redeliver(Named { delivery }) => {
                let answer = remote.act(Method::POST, &["v1", "deliveries", &delivery, "redeliver"]).await?;
                out.answer(&answer, |_| format!("{delivery} is delivered again\n"))?;
            }
            Self::Discard(Named { delivery }) => {
                let answer = remote.act(Method::POST, &["v1", "deliveries", &delivery, "discard"]).await?;
                out.answer(&answer, |_| format!("{delivery} is given up\n"))?;
            }
            Self::Recover { target, since, dry_run } => {
                let body = json!({ "target": target, "since": since, "dry_run": dry_run });
                let answer = remote.send(Method::POST, &["v1", "deliveries", "recover"], &body).await?;
                let verb = if dry_run { "would be" } else { "are" };
                out.answer(&answer, |answer| format!("{} deliveries {verb} sent again\n", answer["deliveries"]))?;
            }
            Self::Stats { target, hours } => {
                let query = [("target", target), ("hours", hours.to_string())];
                let told = |stats: &Value| {
                    let hours = stats["hours"].as_array().map_or(&[][..], Vec::as_slice);
                    format!("{}\n{}", fields(STATS, stats), table(HOURS, hours))
                };
                out.answer(&remote.get(&["v1", "deliveries", "stats"], &query).await?, told)?;
            }
        }
        Ok(())
    }
}
