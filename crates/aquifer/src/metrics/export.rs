//! What is exported, whatever the format: families of samples, by the names of Prometheus.
//!
//! Names follow OpenTelemetry's conventions for databases (dots become `_`, units are written out)
//! where they have one, and begin with `aquifer_` where they have none.

mod families;
mod state;

use aquifer_core::histogram::Distribution;

pub(super) use self::families::{all, of_statements};

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Takes what is exported, one family after the other.
pub(super) trait Sink {
    /// Begins a family; its samples follow at once.
    fn family(&mut self, name: &str, kind: Kind, help: &str);

    /// A sample of the family that was begun, a counter or a gauge.
    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64);

    /// A sample of the family that was begun, a histogram.
    fn durations(&mut self, name: &str, labels: Labels<'_>, of: &Distribution);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    /// Of durations in seconds.
    Histogram,
}

pub(super) fn seconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
}
