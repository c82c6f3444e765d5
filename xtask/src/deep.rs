//! The long checks, which find what the gate has no time for. They go on after a failure, and what
//! could not be run is named at the end.

mod counts;
mod figures;
mod fuzz;
mod overload;
mod postgres18;
mod properties;
mod shuttle;
mod transfers;

use crate::End;
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
        name: "postgres18",
        run: postgres18::run,
    },
];

pub(crate) fn run(workspace: &Workspace, only: &[String]) -> Result<End, Failure> {
    step::run(workspace, "deep", PARTS, only, AfterFailure::Continue)
}
