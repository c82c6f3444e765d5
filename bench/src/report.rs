//! Tables in Markdown, and the same as JSON.

use serde_json::{Value, json};

use crate::counted::Counts;
use crate::rounds::Outcome;
use crate::sections::Section;

/// A section and what came out.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What was measured.
    pub section: Section,
    /// All contenders with the first number of tasks, then all with the second, and so on.
    pub outcomes: Vec<Outcome>,
}

impl Measured {
    /// What that contender did with so many tasks.
    #[must_use]
    pub fn outcome(&self, name: &str, tasks: usize) -> Option<&Outcome> {
        let mut outcomes = self.outcomes.iter();
        outcomes.find(|outcome| outcome.name == name && outcome.tasks == tasks)
    }

    /// The outcome's rate over that of the reference with as many tasks.
    #[must_use]
    pub fn ratio(&self, outcome: &Outcome) -> f64 {
        let reference = self.outcome(self.section.reference(), outcome.tasks);
        reference.map_or(f64::NAN, |reference| outcome.ratio_to(reference))
    }

    /// The whole section in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let title = format!("### {}\n\n", self.section.title);
        if self.section.is_timed() {
            return title + &self.times();
        }
        let reference = self.section.reference();
        let mut text = title
            + &format!(
                "Ratio to `{reference}` (pieces of work per second, and half of the distance between \
                 the quartiles of the rounds):\n\n"
            )
            + &self.rates()
            + "\nLatency p50 / p99 / p99.9, µs:\n\n"
            + &self.latencies();
        if !self.is_delayed() {
            text += "\nProcessor time client + server per piece of work, µs:\n\n";
            text += &self.processor();
        }
        text + "\nConnections that the server had in the end:\n\n" + &self.connections()
    }

    /// The threads of the proxy would count as the client's.
    fn is_delayed(&self) -> bool {
        matches!(self.section.way, crate::sections::Way::Delayed(_))
    }

    /// One row per contender, one column per number of tasks: ratio, and the rate.
    #[must_use]
    pub fn rates(&self) -> String {
        self.table(|outcome| {
            let (ratio, rate) = (self.ratio(outcome), thousands(outcome.rate()));
            let (low, high) = outcome.quartiles();
            let spread = 50.0 * (high - low) / outcome.rate();
            format!("{ratio:.2} ({rate} ± {spread:.0} %)")
        })
    }

    /// One row per contender: p50 / p99 / p99.9 in microseconds.
    #[must_use]
    pub fn latencies(&self) -> String {
        self.table(|outcome| {
            let Outcome { p50, p99, p999, .. } = outcome;
            format!("{p50:.0} / {p99:.0} / {p999:.0}")
        })
    }

    /// One row per contender: processor time of client + server per piece of work, in microseconds.
    #[must_use]
    pub fn processor(&self) -> String {
        self.table(|outcome| format!("{:.1} + {:.1}", outcome.client, outcome.server))
    }

    fn connections(&self) -> String {
        self.table(|outcome| outcome.connections.to_string())
    }

    /// One row per contender: the time of a piece of work, over that of the reference, and more.
    fn times(&self) -> String {
        let heads = [
            "contender",
            "ms, median",
            "ms, quarter to three quarters of the rounds",
            "time over the reference's",
            "connections",
        ];
        let rows = self.outcomes.iter().map(|outcome| {
            let (low, high) = outcome.quartiles();
            row([
                outcome.name.to_owned(),
                format!("{:.1}", outcome.milliseconds()),
                format!("{:.1} to {:.1}", 1e3 / high, 1e3 / low),
                format!("{:.2}", 1.0 / self.ratio(outcome)),
                outcome.connections.to_string(),
            ])
        });
        let reference = self.section.reference();
        format!("The reference is `{reference}`.\n\n")
            + &head(heads.map(str::to_owned))
            + &rows.collect::<String>()
    }

    fn table(&self, cell: impl Fn(&Outcome) -> String) -> String {
        let mut names = Vec::new();
        for outcome in &self.outcomes {
            if !names.contains(&outcome.name) {
                names.push(outcome.name);
            }
        }
        let tasks = &self.section.tasks;
        let heads = tasks.iter().map(|tasks| match tasks {
            1 => "1 task".to_owned(),
            _ => format!("{tasks} tasks"),
        });
        let rows = names.iter().map(|name| {
            let of = |tasks: &usize| self.outcome(name, *tasks).map(&cell).unwrap_or_default();
            row(std::iter::once((*name).to_owned()).chain(tasks.iter().map(of)))
        });
        head(std::iter::once("contender".to_owned()).chain(heads)) + &rows.collect::<String>()
    }

    /// All numbers.
    #[must_use]
    pub fn as_json(&self) -> Value {
        let outcomes = self.outcomes.iter().map(|outcome| {
            json!({
                "contender": outcome.name,
                "tasks": outcome.tasks,
                "per_second": round(outcome.rate(), 1),
                "ratio": round(self.ratio(outcome), 3),
                "p50_us": round(outcome.p50, 1),
                "p99_us": round(outcome.p99, 1),
                "p999_us": round(outcome.p999, 1),
                "client_cpu_us": round(outcome.client, 2),
                "server_cpu_us": round(outcome.server, 2),
                "connections": outcome.connections,
            })
        });
        json!({
            "key": self.section.key,
            "reference": self.section.reference(),
            "outcomes": outcomes.collect::<Vec<_>>(),
        })
    }
}

/// One row per contender: what was counted per query.
#[must_use]
pub fn counts(counts: &[Counts]) -> String {
    let heads = [
        "contender",
        "instructions, 1 thread",
        "allocations, 1 thread",
        "system calls, 1 thread",
        "system calls, 2 threads",
        "peak memory of the client, MB",
    ];
    let rows = counts.iter().map(|counts| {
        let digits = |number: Option<f64>, digits: usize| match number {
            Some(number) => format!("{number:.digits$}"),
            None => "not counted".to_owned(),
        };
        let megabytes = counts.peak_memory.map(|kilobytes| kilobytes as f64 / 1e3);
        row([
            counts.name.to_owned(),
            digits(counts.instructions, 0),
            digits(counts.allocations, 2),
            digits(counts.system_calls, 2),
            digits(counts.system_calls_threads, 2),
            digits(megabytes, 1),
        ])
    });
    head(heads.map(str::to_owned)) + &rows.collect::<String>()
}

/// What was counted, as JSON.
#[must_use]
pub fn counts_as_json(counts: &[Counts]) -> Value {
    let counts = counts.iter().map(|counts| {
        json!({
            "contender": counts.name,
            "instructions": counts.instructions.map(|count| round(count, 0)),
            "allocations": counts.allocations.map(|count| round(count, 2)),
            "system_calls": counts.system_calls.map(|count| round(count, 3)),
            "system_calls_threads": counts.system_calls_threads.map(|count| round(count, 3)),
            "peak_memory_kb": counts.peak_memory,
        })
    });
    counts.collect()
}

fn head(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<_> = cells.into_iter().collect();
    let rule = cells.iter().map(|_| "---".to_owned());
    row(cells.iter().cloned()) + &row(rule)
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<_> = cells.into_iter().collect();
    format!("| {} |\n", cells.join(" | "))
}

fn thousands(rate: f64) -> String {
    match rate {
        rate if rate < 1e4 => format!("{rate:.0}"),
        rate => format!("{:.1}k", rate / 1e3),
    }
}

/// A number with so many digits behind the point; JSON has null where it is none.
#[must_use]
pub fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}
