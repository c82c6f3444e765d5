//! The wire alone beside raw tokio-postgres: throughput in turns, instructions, system calls.

use std::time::Duration;

use aquifer_bench::bounded::{self, BoundedRun};
use aquifer_bench::counted::{Bounded, Counts, is_installed};
use aquifer_bench::peers::{self, EXCLUSIVE, NOTHING};
use aquifer_bench::report::{self, Measured};
use aquifer_bench::rounds;
use aquifer_bench::sections::{Section, Way};
use aquifer_bench::{Durability, Entry, Error, Place, Server, Workload, runtime};
use clap::{Args, Parser, Subcommand};
use serde_json::json;

/// The wire alone beside raw tokio-postgres, on a private PostgreSQL.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Part>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Subcommand)]
enum Part {
    /// Make a number of queries and nothing else, for callgrind and strace.
    Bounded(BoundedRun),
}

#[derive(Args)]
struct Measure {
    /// Few short rounds and short counts: whether everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Print all numbers as one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// What to do.
    #[arg(long, default_value = "select")]
    workload: Workload,
    /// Let COMMIT wait for the disk.
    #[arg(long)]
    durable: bool,
    /// Connect over TCP on loopback instead of the unix socket.
    #[arg(long)]
    tcp: bool,
    /// Connect over TCP through a proxy that makes the round trip longer, in microseconds.
    #[arg(long)]
    delay: Option<u64>,
    /// Let each task pause before each query, for this many microseconds on average.
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// Run all tasks on one thread (tokio's current_thread) instead of two.
    #[arg(long)]
    one_thread: bool,
    /// Only the contender of this name, or all whose names contain it when there is none; can be given
    /// several times. The reference always runs.
    #[arg(long)]
    only: Vec<String>,
    /// How many tasks ask at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    tasks: Vec<usize>,
    /// How many rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each contender runs in a round.
    #[arg(long)]
    milliseconds: Option<u64>,
    /// Measure throughput only.
    #[arg(long, conflicts_with = "no_rates")]
    no_counts: bool,
    /// Count instructions and system calls only.
    #[arg(long)]
    no_rates: bool,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Part::Bounded(run)) => {
            let mut entries = peers::of_the_wire();
            entries.push(NOTHING);
            run.run(&entries)
        }
        None => measure(&arguments.measure),
    }
}

fn measure(arguments: &Measure) -> Result<(), Error> {
    let runtime = runtime::start(arguments.one_thread)?;
    let section = section(arguments);
    let server = runtime.block_on(Server::start(section.durability))?;
    let place = match section.way {
        Way::Unix => server.unix(),
        Way::Tcp => server.tcp(),
        Way::Delayed(microseconds) => server.delayed(Duration::from_micros(microseconds))?,
    };
    let all = section.entries(&peers::of_the_wire());
    let mut entries = all.clone();
    entries.retain(|entry| {
        let wanted = |only: &String| {
            entry.name == only
                || entry.name.contains(only.as_str()) && all.iter().all(|entry| entry.name != only)
        };
        entry.name == EXCLUSIVE || arguments.only.is_empty() || arguments.only.iter().any(wanted)
    });
    let mut measured = Measured {
        section,
        outcomes: Vec::new(),
    };
    if !arguments.no_rates {
        runtime.block_on(rates(arguments, &entries, &place, (&server, &mut measured)))?;
        println!("{}", measured.markdown());
    }
    let mut counts = Vec::new();
    if !arguments.no_counts && arguments.delay.is_none() {
        counts = count(arguments, &entries, &place)?;
        println!(
            "Per query at {} tasks, harness subtracted:\n\n{}",
            bounded::TASKS,
            report::counts(&counts)
        );
    }
    drop(server);
    if arguments.json {
        let counts = report::counts_as_json(&counts);
        println!("{}", json!({"rates": measured.as_json(), "counts": counts}));
    }
    Ok(())
}

fn section(arguments: &Measure) -> Section {
    let (rounds, milliseconds) = if arguments.quick { (3, 100) } else { (15, 250) };
    let (way, title) = match arguments.delay {
        Some(microseconds) => (Way::Delayed(microseconds), "TCP with a longer round trip"),
        None if arguments.tcp => (Way::Tcp, "TCP on loopback"),
        None => (Way::Unix, "Unix socket"),
    };
    Section {
        key: "wire",
        title,
        workload: arguments.workload,
        way,
        durability: if arguments.durable {
            Durability::On
        } else {
            Durability::Off
        },
        tasks: arguments.tasks.clone(),
        rounds: arguments.rounds.unwrap_or(rounds),
        milliseconds: arguments.milliseconds.unwrap_or(milliseconds),
    }
}

async fn rates(
    arguments: &Measure,
    entries: &[Entry],
    place: &Place,
    (server, measured): (&Server, &mut Measured),
) -> Result<(), Error> {
    let plan = rounds::Plan {
        pause: Duration::from_micros(arguments.pause),
        ..measured.section.plan()
    };
    let open = rounds::open(entries, place).await?;
    for tasks in &arguments.tasks {
        let outcomes = rounds::measure(&open, arguments.workload, *tasks, plan, server);
        measured.outcomes.extend(outcomes.await?);
    }
    Ok(())
}

fn count(arguments: &Measure, entries: &[Entry], place: &Place) -> Result<Vec<Counts>, Error> {
    let one_thread = Bounded {
        place,
        tasks: bounded::TASKS,
        queries: if arguments.quick { 4_000 } else { 20_000 },
        threads: false,
    };
    let (valgrind, strace) = (is_installed("valgrind"), is_installed("strace"));
    let mut counts = Vec::new();
    for entry in entries {
        counts.push(one_thread.all(entry.name, valgrind, strace)?);
    }
    Ok(counts)
}
