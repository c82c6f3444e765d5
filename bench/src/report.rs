//! Tables in Markdown, and the same as JSON.

use serde_json::{Value, json};

use crate::rounds::Outcome;

/// What was counted of one contender.
#[derive(Clone, Debug)]
pub struct Counts {
    /// As the tables call it.
    pub name: &'static str,
    /// Instructions in user space per query, one thread.
    pub instructions: Option<f64>,
    /// System calls per query, one thread.
    pub system_calls: Option<f64>,
    /// System calls per query, two threads.
    pub system_calls_threads: Option<f64>,
}

/// One row per contender, one column per number of tasks: ratio, and thousands of queries per second.
#[must_use]
pub fn rates(outcomes: &[Outcome]) -> String {
    table(outcomes, |outcome| {
        format!("{:.2} ({:.1}k)", outcome.ratio, outcome.rate / 1e3)
    })
}

/// One row per contender: p50 / p99 in microseconds.
#[must_use]
pub fn latencies(outcomes: &[Outcome]) -> String {
    table(outcomes, |outcome| {
        format!("{:.0} / {:.0}", outcome.p50, outcome.p99)
    })
}

/// One row per contender: processor time of client + server per query, in microseconds.
#[must_use]
pub fn processor(outcomes: &[Outcome]) -> String {
    table(outcomes, |outcome| {
        format!("{:.1} + {:.1}", outcome.client, outcome.server)
    })
}

fn table(outcomes: &[Outcome], cell: impl Fn(&Outcome) -> String) -> String {
    let (mut names, mut tasks) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        if !names.contains(&outcome.name) {
            names.push(outcome.name);
        }
        if !tasks.contains(&outcome.tasks) {
            tasks.push(outcome.tasks);
        }
    }
    let heads = tasks.iter().map(|tasks| match tasks {
        1 => "1 task".to_owned(),
        _ => format!("{tasks} tasks"),
    });
    let rows = names.iter().map(|name| {
        let of = |tasks: &usize| {
            let found = outcomes
                .iter()
                .find(|outcome| outcome.name == *name && outcome.tasks == *tasks);
            found.map(&cell).unwrap_or_default()
        };
        row(std::iter::once((*name).to_owned()).chain(tasks.iter().map(of)))
    });
    head(std::iter::once("contender".to_owned()).chain(heads)) + &rows.collect::<String>()
}

/// One row per contender: instructions and system calls per query.
#[must_use]
pub fn counts(counts: &[Counts]) -> String {
    let heads = [
        "contender",
        "instructions, 1 thread",
        "system calls, 1 thread",
        "system calls, 2 threads",
    ];
    let rows = counts.iter().map(|counts| {
        let digits = |number: Option<f64>, digits: usize| match number {
            Some(number) => format!("{number:.digits$}"),
            None => "not counted".to_owned(),
        };
        row([
            counts.name.to_owned(),
            digits(counts.instructions, 0),
            digits(counts.system_calls, 2),
            digits(counts.system_calls_threads, 2),
        ]
        .into_iter())
    });
    head(heads.into_iter().map(str::to_owned)) + &rows.collect::<String>()
}

fn head(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    let rule = cells.iter().map(|_| "---".to_owned());
    row(cells.iter().cloned()) + &row(rule)
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.collect();
    format!("| {} |\n", cells.join(" | "))
}

/// All numbers, on one line when it is printed.
#[must_use]
pub fn as_json(outcomes: &[Outcome], counts: &[Counts]) -> Value {
    let rates = outcomes.iter().map(|outcome| {
        json!({
            "contender": outcome.name,
            "tasks": outcome.tasks,
            "queries_per_second": outcome.rate.round(),
            "queries_per_second_best": outcome.rate_best.round(),
            "ratio": round(outcome.ratio, 3),
            "p50_us": round(outcome.p50, 1),
            "p99_us": round(outcome.p99, 1),
            "client_cpu_us": round(outcome.client, 2),
            "server_cpu_us": round(outcome.server, 2),
        })
    });
    let counts = counts.iter().map(|counts| {
        json!({
            "contender": counts.name,
            "instructions": counts.instructions.map(|count| round(count, 0)),
            "system_calls": counts.system_calls.map(|count| round(count, 3)),
            "system_calls_threads": counts.system_calls_threads.map(|count| round(count, 3)),
        })
    });
    json!({"rates": rates.collect::<Vec<_>>(), "counts": counts.collect::<Vec<_>>()})
}

fn round(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (number * scale).round() / scale
}
