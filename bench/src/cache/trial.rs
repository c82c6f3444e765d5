//! The same trial for the library and for the one that was put together by hand.

use std::process::Command;
use std::time::Duration;

use aquifer_testkit::{Figures, Part, Trial};

use super::hand_made::HandMade;
use super::layered::Layered;
use crate::Error;

/// Whose processes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The library's.
    Layered,
    /// Those of moka and redis-rs, put together.
    HandMade,
}

impl Whose {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Layered, Self::HandMade];

    /// As the table calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layered => "aquifer",
            Self::HandMade => "moka, redis-rs and messages, by hand",
        }
    }

    /// As an argument.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Layered => "aquifer",
            Self::HandMade => "by-hand",
        }
    }
}

/// So long under faults; this program is also the processes. Blocks.
///
/// # Errors
/// When this program can't be found.
pub fn run(whose: Whose, time: Duration, seed: u64) -> Result<Figures, Error> {
    let program = std::env::current_exe()?;
    let process = || {
        let mut command = Command::new(&program);
        command.args(["process", whose.word()]);
        command
    };
    Ok(Trial::new(time, seed).run(process))
}

/// What a process does.
///
/// # Errors
/// When it can't connect.
pub async fn process(word: &str) -> Result<(), Error> {
    let part = Part::of_this_process().ok_or("only the trial starts a process")?;
    if word == Whose::Layered.word() {
        let layered = Layered::connect(&part).await?;
        part.work(layered).await;
    } else {
        let hand_made = HandMade::connect(&part).await?;
        part.work(hand_made).await;
    }
    Ok(())
}

/// Short, and the same for errors that differ in their numbers only.
pub(super) fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let short = text.chars().take(90);
    short
        .map(|letter| if letter.is_ascii_digit() { '#' } else { letter })
        .collect()
}
