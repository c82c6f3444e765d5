//! The program in the hands of callgrind and strace: a number of queries and nothing else.

use clap::Args;

use crate::workloads::Workload;
use crate::{Entry, Error, Place, Server, runtime};

/// Tasks for which is counted.
pub const TASKS: usize = 64;

/// A number of queries of one contender.
#[derive(Args, Debug)]
pub struct BoundedRun {
    /// Its name, as the tables have it.
    #[arg(long)]
    contender: String,
    /// The server's host or socket directory; by default a private server is started.
    #[arg(long, requires = "port")]
    host: Option<String>,
    /// The server's port.
    #[arg(long)]
    port: Option<u16>,
    /// What to do.
    #[arg(long, default_value = "select")]
    workload: Workload,
    #[arg(long, default_value_t = TASKS)]
    tasks: usize,
    #[arg(long, default_value_t = 20_000)]
    queries: usize,
    /// Two threads instead of one.
    #[arg(long)]
    threads: bool,
}

impl BoundedRun {
    /// Runs it, and prints the most memory that the client had.
    ///
    /// # Errors
    /// When there is no such contender, and the first query that fails.
    pub fn run(&self, entries: &[Entry]) -> Result<(), Error> {
        runtime::start(!self.threads)?.block_on(self.run_on(entries))
    }

    async fn run_on(&self, entries: &[Entry]) -> Result<(), Error> {
        let entry = entries.iter().find(|entry| entry.name == self.contender);
        let entry = entry.ok_or_else(|| format!("no contender is called {}", self.contender))?;
        let (_server, place) = match (&self.host, self.port) {
            (Some(host), Some(port)) => (None, Place::new(host, port)),
            _ => {
                let server = Server::start(crate::Durability::Off).await?;
                let place = server.unix();
                (Some(server), place)
            }
        };
        let race = (entry.open)(place).await?;
        race.run_count(self.workload, self.tasks, self.queries)
            .await?;
        println!("{}", race.peak_memory());
        Ok(())
    }
}
