//! The long checks, which find what the gate has no time for. They go on after a failure, and what
//! could not be run is named at the end.

mod cache;
mod counts;
mod failover;
mod figures;
mod fuzz;
mod overload;
mod postgres18;
mod properties;
mod rehearsed;
mod shuttle;
mod soak;
mod transfers;

use crate::End;
use crate::command_line::DeepOptions;
use crate::failure::Failure;
use crate::step::{self, AfterFailure, Step};
use crate::workspace::Workspace;

const PARTS: &[Step] = &[
    Step {
        name: "properties",
        run: properties::run,
    },
    Step {
        name: "shuttle",
        run: shuttle::run,
    },
    Step {
        name: "transfers",
        run: transfers::run,
    },
    Step {
        name: "overload",
        run: overload::run,
    },
    Step {
        name: "fuzz",
        run: fuzz::run,
    },
    Step {
        name: "figures",
        run: figures::run,
    },
    Step {
        name: "counts",
        run: counts::run,
    },
    Step {
        name: "failover",
        run: |workspace| failover::run(workspace, &DeepOptions::default()),
    },
    Step {
        name: "cache",
        run: |workspace| cache::run(workspace, &DeepOptions::default()),
    },
    Step {
        name: "soak",
        run: |workspace| soak::run(workspace, &DeepOptions::default()),
    },
    Step {
        name: "postgres18",
        run: postgres18::run,
    },
];

/// One part with its options, or any number of parts as they are.
pub(crate) fn run(
    workspace: &Workspace,
    only: &[String],
    options: &DeepOptions,
) -> Result<End, Failure> {
    if *options == DeepOptions::default() {
        return step::run(workspace, "deep", PARTS, only, AfterFailure::Continue);
    }
    match only.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["cache"] => cache::run(workspace, options)?,
        ["soak"] => soak::run(workspace, options)?,
        _ => failover::run(workspace, options)?,
    };
    Ok(End::Done)
}
