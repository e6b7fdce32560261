//! `flowgate subscription {pull,consumers,forget}`: the events of a subscription for whoever comes and asks.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::Paging;
use super::out::{Columns, Out};
use super::remote::Remote;

/// How long `--follow` waits before it asks again.
const REST: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Pull {
    /// The subscription, by id or name.
    subscription: String,
    /// Who reads; each consumer has a place of its own.
    #[arg(long, default_value = "default", value_name = "NAME")]
    consumer: String,
    /// Events at one time, 1 to 200.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where a new consumer begins: `now`, `oldest`, or a time such as 2026-01-31T08:00:00Z.
    #[arg(long, value_name = "WHERE")]
    from: Option<String>,
    /// Say that the events are done with once they are written; otherwise the same come again.
    #[arg(long)]
    commit: bool,
    /// Go on until interrupted, and commit.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Consumers {
    /// The subscription, by id or name.
    subscription: String,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    /// The subscription, by id or name.
    subscription: String,
    /// The consumer.
    consumer: String,
}

const LIST: Columns<'_> = &[
    ("CONSUMER", "/name"),
    ("SINCE", "/created_at"),
    ("COMMITTED", "/committed_at"),
    ("LOST UNTIL", "/gap_until"),
    ("CURSOR", "/cursor"),
];

impl Pull {
    /// Writes events, one JSON object a line.
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "subscriptions", &self.subscription, "events"];
        let mut query = vec![("consumer", self.consumer.clone())];
        query.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        query.extend(self.from.clone().map(|from| ("from", from)));
        loop {
            let read = remote.get(&path, &query).await?;
            if let Some(until) = read["gap_until"].as_str() {
                out.hint(format_args!("events up to {until} were too old to be kept, and are lost to this consumer"))?;
            }
            for event in read["data"].as_array().into_iter().flatten() {
                out.data_line(event)?;
            }
            if self.commit || self.follow {
                self.commit(remote, &read["cursor"]).await?;
            }
            if !self.follow {
                return Ok(());
            }
            if read["has_more"] == false {
                tokio::time::sleep(REST).await;
            }
        }
    }

    async fn commit(&self, remote: &Remote, cursor: &Value) -> anyhow::Result<()> {
        let path = ["v1", "subscriptions", &self.subscription, "events", "commit"];
        let body = json!({ "consumer": self.consumer, "cursor": cursor });
        remote.send(Method::POST, &path, &body).await.map(drop)
    }
}

impl Consumers {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "subscriptions", &self.subscription, "consumers"];
        Ok(out.list(&remote.get(&path, &self.paging.query()).await?, LIST)?)
    }
}

impl Forget {
    pub(super) async fn run(self, remote: &Remote, out: Out) -> anyhow::Result<()> {
        let path = ["v1", "subscriptions", &self.subscription, "consumers", &self.consumer];
        remote.act(Method::DELETE, &path).await?;
        Ok(out.done(format_args!("consumer {} of subscription {} forgotten", self.consumer, self.subscription))?)
    }
}
