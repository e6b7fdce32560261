//! Load: so many connections, each of which sends its next request when it has the answer to the last one, or at a steady
//! rate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::wire::Connection;

/// What a connection does again and again.
pub trait Exchange: Send + Sync + 'static {
    /// Does it once, as turn `turn` of the connection at `place`. Returns the status of the answer, and the moment until which
    /// it took. Not cancel safe: the connection is then of no use.
    fn exchange(
        &self,
        connection: &mut Connection,
        place: u32,
        turn: u32,
    ) -> impl Future<Output = io::Result<(u16, Instant)>> + Send;
}

/// The same request each time.
impl Exchange for Bytes {
    async fn exchange(&self, connection: &mut Connection, _: u32, _: u32) -> io::Result<(u16, Instant)> {
        let answer = connection.call(self).await?;
        Ok((answer.status, Instant::now()))
    }
}

/// What is sent, how often and how long.
#[derive(Debug, Clone)]
pub struct Plan<E = Bytes> {
    /// The server.
    pub address: SocketAddr,
    /// The bytes of each request, or what else is exchanged.
    pub request: E,
    /// Connections, all of them open before the first request.
    pub connections: u32,
    /// Requests per second of all connections together; as many as there can be when absent.
    pub rate: Option<f64>,
    /// How long requests are sent before they count.
    pub warm_up: Duration,
    /// How long they count.
    pub duration: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// Successful answers per second.
    pub rate: f64,
    /// The time that half of the successful requests stayed under.
    pub p50: Duration,
    /// The time that 99 of 100 stayed under.
    pub p99: Duration,
    /// Answers with a status other than 2xx.
    pub refused: u64,
    /// All requests, those of the warm-up included.
    pub sent: u64,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    microseconds: Vec<u32>,
    refused: u64,
    sent: u64,
}

/// Runs the plan. A connection that fails ends it.
///
/// At a steady rate, a request that could not be sent in time because its connection still waited counts from the moment
/// when it was due, so that a server that stalls is not spared the requests of that time.
pub async fn run<E: Exchange>(plan: Plan<E>) -> io::Result<Outcome> {
    let mut connections = Vec::new();
    for _ in 0..plan.connections {
        connections.push(Connection::open(plan.address).await?);
    }
    let (plan, begin) = (Arc::new(plan), Instant::now());
    let mut clients = JoinSet::new();
    for (place, connection) in (0..).zip(connections) {
        clients.spawn(client(plan.clone(), place, connection, begin));
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen.map_err(io::Error::other)??;
        all.microseconds.extend(seen.microseconds);
        all.refused += seen.refused;
        all.sent += seen.sent;
    }
    Ok(all.outcome(plan.duration))
}

async fn client<E: Exchange>(
    plan: Arc<Plan<E>>,
    place: u32,
    mut connection: Connection,
    begin: Instant,
) -> io::Result<Seen> {
    let counted = begin + plan.warm_up;
    let end = counted + plan.duration;
    let mut seen = Seen::default();
    let mut turn = 0;
    let mut now = begin;
    loop {
        let mut started = now;
        if let Some(rate) = plan.rate {
            started = begin + due(rate, plan.connections, place, turn);
            if now < started {
                sleep_until(started.min(end)).await;
                started = Instant::now();
            }
        }
        if started >= end {
            return Ok(seen);
        }
        let (status, until) = plan.request.exchange(&mut connection, place, turn).await?;
        now = Instant::now();
        turn += 1;
        seen.sent += 1;
        if now < counted || now > end {
            continue;
        }
        match status {
            200..=299 => seen.microseconds.push(u32::try_from((until - started).as_micros()).unwrap_or(u32::MAX)),
            _ => seen.refused += 1,
        }
    }
}

/// When the connection at `place` sends its request number `turn`, from the beginning. The connections take turns.
fn due(rate: f64, connections: u32, place: u32, turn: u32) -> Duration {
    Duration::from_secs_f64((f64::from(turn) * f64::from(connections) + f64::from(place)) / rate)
}

impl Seen {
    fn outcome(mut self, duration: Duration) -> Outcome {
        self.microseconds.sort_unstable();
        let at = |part: f64| {
            let last = self.microseconds.len().saturating_sub(1);
            let index = (last as f64 * part).round() as usize;
            Duration::from_micros(self.microseconds.get(index).copied().unwrap_or_default().into())
        };
        Outcome {
            rate: self.microseconds.len() as f64 / duration.as_secs_f64(),
            p50: at(0.50),
            p99: at(0.99),
            refused: self.refused,
            sent: self.sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_counts_what_succeeded() {
        let seen = Seen { microseconds: (1..=101).rev().collect(), refused: 7, sent: 200 };
        let outcome = seen.outcome(Duration::from_secs(2));
        assert_eq!((outcome.rate, outcome.refused, outcome.sent), (50.5, 7, 200));
        assert_eq!((outcome.p50.as_micros(), outcome.p99.as_micros()), (51, 100));
        assert_eq!(Seen::default().outcome(Duration::from_secs(1)), Outcome::default());
    }

    #[test]
    fn connections_take_turns() {
        let at = |place, turn| due(1_000.0, 4, place, turn).as_millis();
        assert_eq!([at(0, 0), at(1, 0), at(3, 0), at(0, 1), at(1, 2)], [0, 1, 3, 4, 9]);
    }
}
