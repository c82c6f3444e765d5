use crate::command_line::DeepOptions;
use crate::failure::Failure;
use crate::step::Outcome;
use crate::workspace::Workspace;

use super::rehearsed::{Rehearsed, number};

const ROUNDS: u32 = 20;

/// From the moment at which the new primary takes writes.
const FIRST_WRITE_MS_P99: f64 = 300.0;

/// Kills and black holes under load, each with a promotion: the time to the first write, and what
/// went wrong.
pub(super) fn run(workspace: &Workspace, options: &DeepOptions) -> Result<Outcome, Failure> {
    let rehearsed = Rehearsed {
        test: "failover::",
        variable: "AQUIFER_FAILOVERS",
        amount: options.rounds.unwrap_or(ROUNDS),
        json: options.json,
    };
    check(&rehearsed.run(workspace)?)?;
    Ok(Outcome::Done)
}

fn check(report: &str) -> Result<(), Failure> {
    let p99 = number(report, "first_write_ms_p99")?;
    if p99 <= FIRST_WRITE_MS_P99 {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the first write came {p99} ms (p99) after the new primary took writes, at most \
         {FIRST_WRITE_MS_P99} are allowed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_first_write_fails_and_one_that_never_came_too() {
        check(r#"{"promotions":20,"first_write_ms_p99":299.9,"lost":0}"#).expect("in time");
        check(r#"{"first_write_ms_p99":300.1}"#).expect_err("late");
        check(r#"{"first_write_ms_p99":null}"#).expect_err("never");
    }
}
