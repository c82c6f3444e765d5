//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write;

use aquifer_core::histogram::Distribution;

use super::export::{Kind, Labels, Sink, seconds};
use super::names::float;

/// The stable boundaries of `db.client.operation.duration`, as written and in nanoseconds.
const BOUNDARIES: [(&str, u64); 9] = [
    ("0.001", 1_000_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("0.5", 500_000_000),
    ("1", 1_000_000_000),
    ("5", 5_000_000_000),
    ("10", 10_000_000_000),
];

/// A page that is being written.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn label(&mut self, (name, value): &(&str, &str)) {
        self.0.push_str(name);
        self.0.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                other => self.0.push(other),
            }
        }
        self.0.push('"');
    }
}

impl Sink for Page {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.0.push_str(name);
        if let Some((first, others)) = labels.split_first() {
            self.0.push('{');
            self.label(first);
            for label in others {
                self.0.push(',');
                self.label(label);
            }
            self.0.push('}');
        }
        let _ = if value.is_infinite() {
            let sign = if value > 0.0 { '+' } else { '-' };
            writeln!(self.0, " {sign}Inf")
        } else {
            writeln!(self.0, " {value}")
        };
    }

    fn durations(&mut self, name: &str, labels: Labels<'_>, of: &Distribution) {
        let bucket = format!("{name}_bucket");
        for (boundary, nanoseconds) in BOUNDARIES {
            let labels = [labels, &[("le", boundary)]].concat();
            self.sample(&bucket, &labels, float(of.count_up_to(nanoseconds)));
        }
        let count = float(of.count());
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample(&format!("{name}_sum"), labels, seconds(of.sum()));
        self.sample(&format!("{name}_count"), labels, count);
    }
}
