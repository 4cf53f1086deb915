//! Latencies in nanoseconds and their percentiles.

use hdrhistogram::Histogram;
use serde_json::{json, Value};
use std::time::Duration;

/// A histogram from a nanosecond to an hour, three digits exact.
#[derive(Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Latencies {
        Latencies(Histogram::new_with_bounds(1, 3_600_000_000_000, 3).expect("the bounds are legal"))
    }

    pub fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub fn record_duration(&mut self, duration: Duration) {
        self.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn mean_ms(&self) -> f64 {
        self.0.mean() / 1e6
    }

    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1e6
    }

    /// The latency that `percent` of all stay below.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.0.value_at_percentile(percent) as f64 / 1e6
    }

    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percent))
    }

    /// `p50 12.3 us, p95 ..., max ...`, for people.
    pub fn line(&self) -> String {
        let parts = [("p50", 50.0), ("p90", 90.0), ("p95", 95.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];
        let mut text: Vec<String> =
            parts.iter().map(|(name, percent)| format!("{name} {}", span(self.percentile(*percent)))).collect();
        text.push(format!("max {}", span(Duration::from_nanos(self.0.max()))));
        text.join(", ")
    }

    pub fn json(&self) -> Value {
        let micros = |percent: f64| self.0.value_at_percentile(percent) as f64 / 1e3;
        json!({
            "count": self.0.len(),
            "mean_us": self.0.mean() / 1e3,
            "min_us": self.0.min() as f64 / 1e3,
            "p50_us": micros(50.0),
            "p90_us": micros(90.0),
            "p95_us": micros(95.0),
            "p99_us": micros(99.0),
            "p99_9_us": micros(99.9),
            "p99_99_us": micros(99.99),
            "max_us": self.0.max() as f64 / 1e3,
        })
    }
}

/// A duration with three digits and a unit that fits, for people.
pub fn span(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} us", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}
