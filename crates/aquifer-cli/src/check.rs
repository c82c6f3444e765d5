//! `aquifer check`: has a server judge every statement that a test run has sent.

mod collected;
mod excerpt;
mod inspect;
mod server;
mod shown;
mod types;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use aquifer::query::Lint;
use clap::Args;
use clap::builder::PossibleValuesParser;

use self::inspect::Inspected;
use self::server::Server;
use crate::Failure;

/// What it exits with when a statement is refused, or has a warning that is denied.
const REFUSED: u8 = 3;
/// Stands for all lints.
const WARNINGS: &str = "warnings";

/// Has a server prepare every statement that a test run has sent
///
/// First collect them: in the tests of a service, enable the feature `testing` of the crate aquifer,
/// remove what an earlier run has collected, and name an absolute path in AQUIFER_COLLECT:
///
///     rm -f target/statements.jsonl
///     AQUIFER_COLLECT=$PWD/target/statements.jsonl cargo test
///     aquifer check target/statements.jsonl --embedded
///
/// Each statement is parsed and planned, and none is run; functions that are declared immutable or
/// stable may be evaluated by the planner, read-only. What the server refuses is an error: a column
/// that is not there any more, a type that does not fit, a right that is missing; so is a parameter
/// whose type is another one than where the tests sent it. What it takes may have warnings:
///
///   missing_limit     it returns as many rows as there happen to be
///   cartesian_join    no condition connects one source with the others
///   unindexed_filter  no index serves a condition on a table
///   unindexed_sort    no index has the rows in the order that is asked for
///
/// They come from plans that the server makes as if reading whole tables were very dear, so that it
/// does not matter whether there is any data. Of parameters the types are known here, and values never
/// collected.
///
/// The database is the one that a service here would use (see `aquifer config print`), unless
/// --database-url or --embedded says otherwise.
///
/// Exits with 0 when all is well, 1 when something failed, also a statement of a migration, 2 for
/// wrong use or configuration, 3 when a statement is refused or has a warning that is denied, 4 when
/// the files of the migrations can't be run.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Check {
    /// What was collected; several files are taken together
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The database, instead of the configured one; a password is better left to the environment
    #[arg(long, value_name = "URL", conflicts_with = "embedded")]
    database_url: Option<String>,
    /// Starts a private PostgreSQL, applies the migrations, and ends it afterwards
    #[arg(long)]
    embedded: bool,
    /// The directory of the migrations for --embedded
    #[arg(
        long,
        value_name = "PATH",
        default_value = "migrations",
        requires = "embedded"
    )]
    migrations: PathBuf,
    /// Takes a warning for an error: `warnings` for all, or one by its name
    #[arg(long, value_name = "LINT", value_parser = lints(true))]
    deny: Vec<String>,
    /// Says nothing of that warning
    #[arg(long, value_name = "LINT", value_parser = lints(false))]
    allow: Vec<String>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

fn lints(all: bool) -> PossibleValuesParser {
    PossibleValuesParser::new(all.then_some(WARNINGS).into_iter().chain(Lint::NAMES))
}

/// How many statements are refused, and how many warnings there are.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    errors: usize,
    warnings: usize,
    denied: usize,
}

#[tokio::main]
pub(crate) async fn run(arguments: &Check, output: &mut impl Write) -> Result<(), Failure> {
    let statements = collected::read(&arguments.files)?;
    let server = Server::start(arguments).await?;
    let version = server.version().await;
    let outcome = inspect_all(arguments, &server, &statements).await;
    server.stop().await?;
    let (version, inspected) = (version?, outcome?);
    let count = arguments.count(&inspected);
    let written = if arguments.json {
        shown::json(&inspected, count, &version, output)
    } else {
        shown::text(&inspected, count, &version, output)
    };
    match written.and_then(|()| output.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    match count {
        Count { errors, denied, .. } if errors + denied > 0 => Err(Failure {
            code: REFUSED,
            cause: format!("statements refused: {errors}; warnings denied: {denied}").into(),
        }),
        _ => Ok(()),
    }
}

async fn inspect_all(
    arguments: &Check,
    server: &Server,
    statements: &[collected::Collected],
) -> Result<Vec<Inspected>, Failure> {
    let session = server.db().dedicated().await?;
    let progress = io::stderr().is_terminal();
    let mut inspected = Vec::with_capacity(statements.len());
    for (number, statement) in statements.iter().enumerate() {
        if progress {
            // Nobody is left to tell if stderr is closed.
            let _unheard = write!(
                io::stderr(),
                "\rchecking {} of {}",
                number + 1,
                statements.len()
            );
        }
        let mut one = inspect::inspect(&session, statement).await?;
        one.lints.retain(|lint| !arguments.allows(lint));
        inspected.push(one);
    }
    if progress {
        let _unheard = write!(io::stderr(), "\r\x1b[K");
    }
    Ok(inspected)
}

impl Check {
    fn allows(&self, lint: &Lint) -> bool {
        self.allow.iter().any(|name| name == lint.name())
    }

    fn denies(&self, lint: &Lint) -> bool {
        let named = |name: &String| name == WARNINGS || name == lint.name();
        self.deny.iter().any(named)
    }

    fn count(&self, inspected: &[Inspected]) -> Count {
        let lints = || inspected.iter().flat_map(|one| &one.lints);
        let denied = lints().filter(|lint| self.denies(lint)).count();
        Count {
            errors: inspected.iter().filter(|one| one.refusal.is_some()).count(),
            warnings: lints().count(),
            denied,
        }
    }
}
