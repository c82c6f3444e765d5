//! The command `aquifer`.

mod cache;
mod check;
mod config;
mod demo;
mod migrate;

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Works with the Aquifer data layer from the command line.
#[derive(Parser)]
#[command(name = "aquifer", version)]
struct Arguments {
    /// Without one, the demo is shown
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Looks at the cache in Redis
    #[command(subcommand)]
    Cache(cache::Command),
    Check(check::Check),
    /// Shows and checks the configuration
    #[command(subcommand)]
    Config(config::Command),
    /// Shows the layer at work on a real PostgreSQL; numbers are measured, claims checked
    Demo(demo::DemoArgs),
    #[command(subcommand)]
    Migrate(migrate::Command),
}

/// A command that failed: the code to exit with, as the shell's own for wrong use, and the cause.
struct Failure {
    code: u8,
    cause: Box<dyn Error>,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let outcome = match command.unwrap_or_else(|| Command::Demo(demo::DemoArgs::default())) {
        Command::Cache(command) => cache::run(&command, &mut io::stdout().lock()),
        Command::Check(arguments) => check::run(&arguments, &mut io::stdout().lock()),
        Command::Config(command) => config::run(&command, &mut io::stdout().lock()),
        Command::Demo(arguments) => return show(arguments),
        Command::Migrate(command) => migrate::run(&command, &mut io::stdout().lock()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if stderr is closed too.
            let _unheard = writeln!(io::stderr(), "aquifer: {}", chain(failure.cause.as_ref()));
            ExitCode::from(failure.code)
        }
    }
}

#[tokio::main]
async fn show(arguments: demo::DemoArgs) -> ExitCode {
    demo::run(arguments).await
}

/// The error and what caused it, down to the bottom, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a String can't fail.
        let _infallible = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            code: 1,
            cause: error.into(),
        }
    }
}

impl From<aquifer::Error> for Failure {
    fn from(error: aquifer::Error) -> Self {
        let code = migrate::code_of(&error);
        Self {
            code,
            cause: error.into(),
        }
    }
}
