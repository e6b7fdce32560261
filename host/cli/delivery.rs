//! `flowgate delivery`.

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::Paging;
use super::out::{Columns, Out, fields, table};
use super::remote::Remote;

#[derive(Debug, Subcommand)]
pub(super) enum Delivery {
    /// List deliveries, newest first.
    List {
        /// Only those of an execution.
        #[arg(long)]
        execution: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a delivery with its attempts.
    Show {
        /// `dlv_…`
        delivery: String,
    },
    /// Deliver again.
    Redeliver {
        /// `dlv_…`
        delivery: String,
    },
}

const LIST: Columns<'_> = &[
    ("ID", "/id"),
    ("STATUS", "/status"),
    ("ATTEMPTS", "/attempts_made"),
    ("EVENT", "/event"),
    ("NEXT", "/next_at"),
    ("URL", "/url"),
];
const ONE: Columns<'_> = &[
    ("id", "/id"),
    ("status", "/status"),
    ("event", "/event"),
    ("url", "/url"),
    ("execution", "/execution_id"),
    ("hook", "/hook"),
    ("created", "/created_at"),
    ("next attempt", "/next_at"),
    ("finished", "/finished_at"),
    ("body", "/body"),
];
const ATTEMPTS: Columns<'_> = &[
    ("N", "/n"),
    ("AT", "/at"),
    ("STATUS", "/status"),
    ("MS", "/duration_ms"),
    ("ERROR", "/error"),
    ("ANSWER", "/answer"),
];

impl Delivery {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        match self {
            Self::List { execution, paging } => {
                let mut query = paging.query();
                query.extend(execution.map(|execution| ("execution", execution)));
                out.list(&remote.get(&["v1", "deliveries"], &query).await?, LIST)?;
            }
            Self::Show { delivery } => {
                let told = |delivery: &Value| {
                    let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
                    format!("{}\n{}", fields(ONE, delivery), table(ATTEMPTS, attempts))
                };
                out.answer(&remote.get(&["v1", "deliveries", &delivery], &[]).await?, told)?;
            }
            Self::Redeliver { delivery } => {
                let answer = remote.act(Method::POST, &["v1", "deliveries", &delivery, "redeliver"]).await?;
                out.answer(&answer, |_| format!("{delivery} is delivered again\n"))?;
            }
        }
        Ok(())
    }
}
