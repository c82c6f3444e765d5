//! What a full run leaves in the repository: the tables in BENCHMARKS.md, between two markers, and
//! the plots beside them.

use std::fs;
use std::path::PathBuf;

use crate::peers::{AQUIFER, BATCH, LOOKUP, WIRE};
use crate::plot::{self, Bar};
use crate::report::Measured;
use crate::rounds::Outcome;
use crate::{Error, Workload, marked};

/// Where the plots are, from the repository's root.
const PLOTS: &str = "bench/plots";

/// Puts the tables into BENCHMARKS.md and the plots beside the benchmark; returns what it has
/// written.
///
/// # Errors
/// When the markers are missing, and what the file system says.
pub fn write(tables: &str, measured: &[Measured]) -> Result<Vec<PathBuf>, Error> {
    let root = marked::root();
    fs::create_dir_all(root.join(PLOTS))?;
    let mut written = Vec::new();
    let mut images = String::new();
    for (name, title, bars) in plots(measured) {
        let path = root.join(PLOTS).join(format!("{name}.svg"));
        fs::write(&path, plot::bars(&title, &bars))?;
        images += &format!("![{title}]({PLOTS}/{name}.svg)\n\n");
        written.push(path);
    }
    written.push(marked::put("measured", &format!("{images}{tables}"))?);
    Ok(written)
}

type Plot = (String, String, Vec<Bar>);

/// A plot of each section at 64 tasks, and what else is worth a look.
fn plots(measured: &[Measured]) -> Vec<Plot> {
    let mut plots = Vec::new();
    for measured in measured {
        let section = &measured.section;
        let (key, title) = (section.key, section.title);
        if section.is_timed() {
            let title = format!("{title}: milliseconds, less is better");
            let bars = bars(measured, section.tasks[0], |outcome| {
                vec![outcome.milliseconds()]
            });
            plots.push((key.to_owned(), title, bars));
            continue;
        }
        for tasks in [64, 256] {
            if !section.tasks.contains(&tasks) || (tasks == 256 && key != "select") {
                continue;
            }
            let title = format!("{title}, {tasks} tasks: over the exclusive pool, more is better");
            let bars = bars(measured, tasks, |outcome| vec![measured.ratio(outcome)]);
            plots.push((format!("{key}_{tasks}"), title, bars));
        }
        plots.extend(particular(measured));
    }
    plots
}

/// Processor time of the selects, tail latency beside slow calls.
fn particular(measured: &Measured) -> Option<Plot> {
    let of = |title: &str, parts: fn(&Outcome) -> Vec<f64>| {
        Some((
            format!("{}_64_costs", measured.section.key),
            title.to_owned(),
            bars(measured, 64, parts),
        ))
    };
    match (measured.section.workload, measured.section.key) {
        (Workload::Select, "select") => of(
            "One row by its key, 64 tasks: µs of processor, client (dark) and server, less is better",
            |outcome| vec![outcome.client, outcome.server],
        ),
        (Workload::Slow, _) => of(
            "1 % slow calls, 64 tasks: p99 of the others in ms, less is better",
            |outcome| vec![outcome.p99 / 1e3],
        ),
        _ => None,
    }
}

fn bars(measured: &Measured, tasks: usize, parts: impl Fn(&Outcome) -> Vec<f64>) -> Vec<Bar> {
    let outcomes = measured.outcomes.iter();
    outcomes
        .filter(|outcome| outcome.tasks == tasks)
        .map(|outcome| {
            let parts = parts(outcome);
            let texts: Vec<_> = parts.iter().map(|part| format!("{part:.2}")).collect();
            Bar {
                name: outcome.name.to_owned(),
                parts,
                label: texts.join(" + "),
                own: is_own(outcome.name),
            }
        })
        .collect()
}

fn is_own(name: &str) -> bool {
    [AQUIFER, LOOKUP, BATCH, WIRE].contains(&name) || name.starts_with("aquifer, ")
}
