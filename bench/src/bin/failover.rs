//! Failovers under load: the library beside peers, on private PostgreSQL servers.

use aquifer_bench::Error;
use aquifer_bench::failover::{self, CLIENTS};
use aquifer_testkit::Failovers;
use clap::Parser;

/// Promotions while tasks read and write: the time to the first write, errors, and what went wrong.
#[derive(Parser)]
struct Arguments {
    /// How many promotions each client goes through.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Only clients whose names contain this.
    #[arg(long)]
    only: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    let wanted = |name: &&str| match &arguments.only {
        Some(only) => name.contains(only.as_str()),
        None => true,
    };
    let mut rows = Vec::new();
    for name in CLIENTS.into_iter().filter(wanted) {
        eprintln!("== {name}");
        let failovers = failover::run(name, arguments.rounds).await?;
        for (what, complaints) in [
            ("reads", &failovers.complaints.reads),
            ("writes", &failovers.complaints.writes),
        ] {
            for (complaint, count) in complaints {
                eprintln!("   {what}: {count} x {complaint}");
            }
        }
        eprintln!("   {}", failovers.json());
        rows.push(row(name, &failovers));
    }
    println!(
        "| client | first write, ms: p50 | p99 | reads failed | writes failed | unknown | not \
         resolvable | lost | writes to the old primary |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        println!("{row}");
    }
    Ok(())
}

fn row(name: &str, failovers: &Failovers) -> String {
    let time = |percent| match failovers.first_write_ms(percent) {
        Some(time) => format!("{time:.0}"),
        None => "never".to_owned(),
    };
    let ledger = failovers.ledger;
    let failed = failovers.complaints.writes.values().sum::<u64>() - ledger.unknown;
    format!(
        "| {name} | {} | {} | {} of {} | {failed} | {} | {} | {} | {} |",
        time(50),
        time(99),
        failovers.read_errors,
        failovers.reads + failovers.read_errors,
        ledger.unknown,
        ledger.unresolved,
        ledger.lost,
        failovers.fenced_writes(),
    )
}
