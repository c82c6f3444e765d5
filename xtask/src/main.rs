//! The project's own commands, so that a clone needs no tool besides Rust: `cargo xtask help`.
//!
//! Exit codes: 0 all went well; 1 something failed; 2 the command line was not understood;
//! 3 nothing failed, but not everything could be run, and the last lines say what and why.
#![allow(
    clippy::print_stdout,
    reason = "the commands talk to the person at the terminal"
)]

mod bench;
mod ci;
mod command_line;
mod deep;
mod demo;
mod failure;
mod guides;
mod outside;
mod process;
mod programs;
mod readme;
mod step;
mod test;
mod tidy;
mod workspace;

use std::env;
use std::process::ExitCode;

use crate::command_line::{Command, HELP};
use crate::failure::Failure;
use crate::workspace::Workspace;

const USAGE: u8 = 2;
const INCOMPLETE: u8 = 3;

/// How a command ended that did not fail outright.
enum End {
    Done,
    /// A program that was run has failed and has said everything there is to say.
    Failed,
    /// Nothing failed, but some part could not be run.
    Incomplete,
}

fn main() -> ExitCode {
    let command = match Command::parse(env::args().skip(1)) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("xtask: {message}\n\n{HELP}");
            return ExitCode::from(USAGE);
        }
    };
    match run(command) {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Failed) => ExitCode::FAILURE,
        Ok(End::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<End, Failure> {
    if let Command::Help = command {
        println!("{HELP}");
        return Ok(End::Done);
    }
    let workspace = Workspace::find()?;
    match command {
        Command::Help => Ok(End::Done),
        Command::Demo { release, arguments } => demo::run(&workspace, release, &arguments),
        Command::Test { arguments } => test::run(&workspace, &arguments),
        Command::Ci { only } => ci::run(&workspace, &only),
        Command::Tidy => tidy::run(&workspace),
        Command::Bench { arguments } => bench::run(&workspace, &arguments),
        Command::Deep { only, options } => deep::run(&workspace, &only, &options),
    }
}
