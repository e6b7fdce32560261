//! One measurement of a server: as much load as there can be, then half of it at a steady pace.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::case::Running;
use crate::errand::Errand;
use crate::house::Api;
use crate::load::{self, Outcome, Plan};
use crate::process::{Server, own_cpu};
use crate::report::Measured;

/// How long requests are sent before they count.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures what runs, and stops it.
pub(super) async fn whole(running: Running, connections: u32, duration: Duration) -> Result<Measured> {
    let Running { server, errand, api } = running;
    let rest_bytes = server.resident_bytes()?;
    let plan = Plan { address: server.address, request: errand, connections, rate: None, warm_up: WARM_UP, duration };
    let full = saturate(&server, api.as_ref(), plan.clone()).await?;
    let half = load::run(Plan { rate: Some((full.outcome.rate / 2.0).max(1.0)), ..plan }).await?;
    settle(api.as_ref()).await?;
    server.stop().await?;
    Ok(Measured {
        rate: full.outcome.rate,
        server_us: full.server_us,
        server_busy: full.server_busy,
        load_busy: full.load_busy,
        p50: half.p50,
        p99: half.p99,
        rest_bytes,
        resident_bytes: full.resident_bytes,
        refused: full.outcome.refused + half.refused,
    })
}

/// What came of as much load as there can be.
pub(super) struct Full {
    pub(super) outcome: Outcome,
    /// Processor time of the server for each request, until nothing was left to do.
    pub(super) server_us: f64,
    server_busy: f64,
    load_busy: f64,
    resident_bytes: u64,
}

/// Runs a plan without a rate.
pub(super) async fn saturate(server: &Server, api: Option<&Api>, plan: Plan<Errand>) -> Result<Full> {
    let (begin, server_before, own_before) = (Instant::now(), server.cpu()?, own_cpu()?);
    let outcome = load::run(plan).await?;
    ensure!(outcome.rate > 0.0, "of {} requests none was answered with success", outcome.sent);
    let wall = begin.elapsed().as_secs_f64();
    let part = |used: Duration| used.as_secs_f64() / wall;
    let (server_busy, load_busy) = (part(server.cpu()? - server_before), part(own_cpu()? - own_before));
    let resident_bytes = server.resident_bytes()?;
    settle(api).await?;
    let server_us = (server.cpu()? - server_before).as_secs_f64() * 1e6 / outcome.sent as f64;
    Ok(Full { outcome, server_us, server_busy, load_busy, resident_bytes })
}

/// What was accepted is executed as well, before anything else is asked of the server.
async fn settle(api: Option<&Api>) -> Result<()> {
    match api {
        Some(api) => api.idle().await,
        None => Ok(()),
    }
}
