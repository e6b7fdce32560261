//! Counts what happens, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the durations that are told apart, in seconds.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0];

/// A handle to the counters. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    executions: Family<End, Counter>,
    seconds: Histogram,
    deliveries: Family<Outcome, Counter>,
    running: Gauge,
    queued: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    status: &'static str,
    reason: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("flowgate"),
            requests: Family::default(),
            executions: Family::default(),
            seconds: Histogram::new(SECONDS),
            deliveries: Family::default(),
            running: Gauge::default(),
            queued: Gauge::default(),
        };
        let all = &mut inner.registry;
        all.register("requests", "Requests of hooks: the verdict, or the problem's slug", inner.requests.clone());
        all.register("executions", "Ended executions", inner.executions.clone());
        let help = "From the start of an execution's last attempt to its end";
        all.register_with_unit("execution_duration", help, Unit::Seconds, inner.seconds.clone());
        all.register("delivery_attempts", "Attempts to deliver, by what they led to", inner.deliveries.clone());
        all.register("executions_running", "Executions that run or are waited for here", inner.running.clone());
        all.register("executions_queued", "Executions that wait in the queue or run from it", inner.queued.clone());
        Self(Arc::new(inner))
    }
}

impl Metrics {
    /// A request of a hook got this verdict, or was refused with the problem of this slug.
    pub fn request(&self, outcome: &'static str) {
        self.0.requests.get_or_create(&Outcome { outcome }).inc();
    }

    /// An execution has ended.
    pub fn execution(&self, status: &'static str, reason: Option<&str>, took: Duration) {
        let end = End { status, reason: reason.unwrap_or("").to_owned() };
        self.0.executions.get_or_create(&end).inc();
        self.0.seconds.observe(took.as_secs_f64());
    }

    /// An attempt to deliver has led to this: the delivery's new status.
    pub fn delivery(&self, outcome: &'static str) {
        self.0.deliveries.get_or_create(&Outcome { outcome }).inc();
    }

    /// All of it in the OpenMetrics text format, with the gauges as they are now.
    pub fn render(&self, running: usize, queued: u64) -> String {
        self.0.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        self.0.queued.set(queued);
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry).expect("a string takes all that is written");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_told_in_numbers() {
        let metrics = Metrics::default();
        metrics.request("accepted");
        metrics.request("unauthenticated");
        metrics.execution("failed", Some("trap"), Duration::from_millis(3));
        metrics.delivery("succeeded");
        let text = metrics.render(2, 7);
        for line in [
            r#"flowgate_requests_total{outcome="unauthenticated"} 1"#,
            r#"flowgate_executions_total{status="failed",reason="trap"} 1"#,
            r#"flowgate_execution_duration_seconds_bucket{le="0.005"} 1"#,
            r#"flowgate_delivery_attempts_total{outcome="succeeded"} 1"#,
            "flowgate_executions_running 2",
            "flowgate_executions_queued 7",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
