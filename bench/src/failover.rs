//! Failovers under load: what a service sees while its primary is killed, hangs or is cut off, and a
//! standby takes its place. The same [`Rehearsal`] for each client, each with servers of its own.

mod aquifer;
mod deadpool;
mod sqlx;

use std::sync::Arc;
use std::time::Duration;

use aquifer_testkit::{Client, Failovers, Rehearsal, Round};

pub use self::aquifer::Aquifer;
pub use self::deadpool::Deadpool;
pub use self::sqlx::Sqlx;

use crate::Error;

/// What callers allow for one call.
const DEADLINE: Duration = Duration::from_secs(2);

const READ: &str = "select value from lookups where id = $1";
const WRITE: &str = "insert into ledger (id) values ($1)";

/// The clients, as the table calls them.
pub const CLIENTS: [&str; 4] = [
    "aquifer",
    "deadpool-postgres, tokio-postgres with both hosts",
    "the same, tuned for failovers",
    "sqlx, a list of pools",
];

/// Runs so many rounds with one of [`CLIENTS`].
///
/// # Errors
/// When the client can't be made.
pub async fn run(name: &str, rounds: usize) -> Result<Failovers, Error> {
    let rehearsal = Arc::new(tokio::task::spawn_blocking(Rehearsal::start).await?);
    Ok(if name == CLIENTS[0] {
        let client = Aquifer::connect(&rehearsal.url()).await?;
        drive(&rehearsal, client, rounds).await
    } else if name == CLIENTS[1] {
        let client = Deadpool::connect(&rehearsal.url(), false)?;
        drive(&rehearsal, client, rounds).await
    } else if name == CLIENTS[2] {
        let client = Deadpool::connect(&rehearsal.url(), true)?;
        drive(&rehearsal, client, rounds).await
    } else {
        let client = Sqlx::connect(&rehearsal.urls())?;
        drive(&rehearsal, client, rounds).await
    })
}

async fn drive(rehearsal: &Arc<Rehearsal>, client: impl Client, rounds: usize) -> Failovers {
    let report = |number: usize, round: &Round| eprintln!("   {:>2}. {round}", number + 1);
    rehearsal.run(&client, rounds, report).await
}

/// Short, and the same for errors that differ in their numbers only.
fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let short = text.chars().take(90);
    short
        .map(|letter| if letter.is_ascii_digit() { '#' } else { letter })
        .collect()
}
