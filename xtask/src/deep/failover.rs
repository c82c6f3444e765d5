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
        name: "failover",
        tests: &["failover::writes_go_on", "failover::readers_of_a_standby"],
        variable: "AQUIFER_FAILOVERS",
        amount: options.rounds.unwrap_or(ROUNDS),
        json: options.json,
        cfg: None,
    };
    check(&rehearsed.run(workspace)?)?;
    Ok(Outcome::Done)
}

/// What a test on a busy machine can't promise is held against its limit here; the rest the test has
/// looked at itself.
fn check(report: &str) -> Result<(), Failure> {
    let p99 = number(report, "first_write_ms_p99")?;
    if p99 > FIRST_WRITE_MS_P99 {
        return Err(Failure::new(format!(
            "the first write came {p99} ms (p99) after the new primary took writes, at most \
             {FIRST_WRITE_MS_P99} are allowed"
        )));
    }
    let errors = number(report, "read_errors")?;
    if errors > 0.0 {
        return Err(Failure::new(format!(
            "{errors} reads failed although their callers had two seconds"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_first_write_fails_and_one_that_never_came_too() {
        check(r#"{"promotions":20,"first_write_ms_p99":299.9,"read_errors":0}"#).expect("in time");
        check(r#"{"first_write_ms_p99":300.1,"read_errors":0}"#).expect_err("late");
        check(r#"{"first_write_ms_p99":null,"read_errors":0}"#).expect_err("never");
    }

    #[test]
    fn a_read_that_failed_fails() {
        check(r#"{"first_write_ms_p99":1.0,"read_errors":1}"#).expect_err("a read");
    }
}
