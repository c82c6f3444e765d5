//! Hands all figures to the recorder of the `metrics` crate, by the names of Prometheus.
//!
//! Histograms are handed over as what was counted since the last time, a value for each bucket: so
//! the path of a query pays nothing, and a recorder learns them within 3 %.

use std::collections::BTreeMap;

use aquifer_core::histogram::Distribution;
use metrics::Label;

use super::custom::Registry;
use super::export::{self, Kind, Labels, Sink, seconds};
use super::reading::Reading;

/// What was handed over so far.
#[derive(Debug, Default)]
pub(super) struct Exported {
    histograms: BTreeMap<String, Distribution>,
}

impl Exported {
    pub(super) fn export(&mut self, reading: &Reading, registry: &Registry) {
        let mut recorder = Recorder {
            exported: self,
            kind: Kind::Gauge,
        };
        export::all(&mut recorder, reading, registry);
    }
}

struct Recorder<'a> {
    exported: &'a mut Exported,
    kind: Kind,
}

impl Sink for Recorder<'_> {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.kind = kind;
        let (name, help) = (name.to_owned(), help.to_owned());
        match kind {
            Kind::Counter => metrics::describe_counter!(name, help),
            Kind::Gauge => metrics::describe_gauge!(name, help),
            Kind::Histogram => metrics::describe_histogram!(name, metrics::Unit::Seconds, help),
        }
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        let (name, labels) = (name.to_owned(), owned(labels));
        if self.kind == Kind::Counter {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a counter is not negative; beyond 2⁵³ one more or less is nothing"
            )]
            metrics::counter!(name, labels).absolute(value as u64);
        } else {
            metrics::gauge!(name, labels).set(value);
        }
    }

    fn durations(&mut self, name: &str, labels: Labels<'_>, of: &Distribution) {
        let before = self.exported.histograms.entry(format!("{name} {labels:?}"));
        let before = before.or_default();
        let histogram = metrics::histogram!(name.to_owned(), owned(labels));
        for (nanoseconds, count) in of.since(before) {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            histogram.record_many(seconds(nanoseconds), count);
        }
        *before = of.clone();
    }
}

fn owned(labels: Labels<'_>) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label::new((*name).to_owned(), (*value).to_owned());
    labels.iter().map(label).collect()
}
