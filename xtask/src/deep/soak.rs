use crate::command_line::DeepOptions;
use crate::failure::Failure;
use crate::step::Outcome;
use crate::workspace::Workspace;

use super::rehearsed::Rehearsed;

const MINUTES: u32 = 10;

/// Random faults under load; the test itself says what is wrong.
pub(super) fn run(workspace: &Workspace, options: &DeepOptions) -> Result<Outcome, Failure> {
    let rehearsed = Rehearsed {
        name: "soak",
        tests: &["soak::"],
        variable: "AQUIFER_SOAK_SECONDS",
        amount: options.minutes.unwrap_or(MINUTES) * 60,
        json: options.json,
        cfg: None,
    };
    rehearsed.run(workspace)?;
    Ok(Outcome::Done)
}
