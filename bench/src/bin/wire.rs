//! The wire alone beside raw tokio-postgres: throughput in turns, instructions, system calls.

use std::time::Duration;

use aquifer_bench::counted::{Bounded, is_installed};
use aquifer_bench::peers::{self, EXCLUSIVE, NOTHING};
use aquifer_bench::report::{self, Counts};
use aquifer_bench::rounds::{self, Open, Outcome, Plan};
use aquifer_bench::{Entry, Error, Server};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

/// Tasks for which instructions and system calls are counted.
const TASKS_COUNTED: usize = 64;

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
    /// Only contenders whose names contain this; the reference always runs.
    #[arg(long)]
    only: Option<String>,
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

#[derive(Args)]
struct BoundedRun {
    /// Its name, as the tables have it.
    #[arg(long)]
    contender: String,
    /// The server's connection parameters; by default a private server is started.
    #[arg(long)]
    parameters: Option<String>,
    #[arg(long, default_value_t = TASKS_COUNTED)]
    tasks: usize,
    #[arg(long, default_value_t = 20_000)]
    queries: usize,
    /// Two threads instead of one.
    #[arg(long)]
    threads: bool,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Part::Bounded(run)) => runtime(!run.threads)?.block_on(bounded(&run)),
        None => measure(&arguments.measure),
    }
}

fn runtime(one_thread: bool) -> Result<Runtime, Error> {
    let mut builder = if one_thread {
        Builder::new_current_thread()
    } else {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        builder
    };
    Ok(builder.enable_all().build()?)
}

async fn bounded(run: &BoundedRun) -> Result<(), Error> {
    let mut entries = peers::all();
    entries.push(NOTHING);
    let entry = entries.iter().find(|entry| entry.name == run.contender);
    let entry = entry.ok_or_else(|| format!("no contender is called {}", run.contender))?;
    let (_server, parameters) = match &run.parameters {
        Some(parameters) => (None, parameters.clone()),
        None => {
            let server = Server::start().await?;
            let parameters = server.unix();
            (Some(server), parameters)
        }
    };
    let race = (entry.open)(parameters).await?;
    race.run_count(run.tasks, run.queries).await
}

fn measure(arguments: &Measure) -> Result<(), Error> {
    let runtime = runtime(arguments.one_thread)?;
    let server = runtime.block_on(Server::start())?;
    let (parameters, way) = match arguments.delay {
        Some(microseconds) => (
            server.delayed(Duration::from_micros(microseconds))?,
            format!("TCP, round trip {microseconds} µs longer"),
        ),
        None if arguments.tcp => (server.tcp(), "TCP on loopback".to_owned()),
        None => (server.unix(), "unix socket".to_owned()),
    };
    let entries: Vec<_> = peers::all()
        .into_iter()
        .filter(|entry| {
            let wanted = |only: &String| entry.name.contains(only.as_str());
            entry.name == EXCLUSIVE || arguments.only.as_ref().is_none_or(wanted)
        })
        .collect();
    let threads = if arguments.one_thread {
        "one thread"
    } else {
        "two worker threads"
    };
    println!("{way}, {threads}\n");
    let mut outcomes = Vec::new();
    if !arguments.no_rates {
        outcomes = runtime.block_on(rates(arguments, &entries, &parameters, server.process()))?;
        println!(
            "Ratio to `{EXCLUSIVE}` (queries per second):\n\n{}",
            report::rates(&outcomes)
        );
        println!("Latency p50 / p99, µs:\n\n{}", report::latencies(&outcomes));
        // The threads of the proxy would count as the client's.
        if arguments.delay.is_none() {
            println!(
                "Processor time client + server per query, µs:\n\n{}",
                report::processor(&outcomes)
            );
        }
    }
    let mut counts = Vec::new();
    if !arguments.no_counts && arguments.delay.is_none() {
        counts = count(arguments, &entries, &parameters)?;
        println!(
            "Per query at {TASKS_COUNTED} tasks, harness subtracted:\n\n{}",
            report::counts(&counts)
        );
    }
    drop(server);
    if arguments.json {
        println!("{}", report::as_json(&outcomes, &counts));
    }
    Ok(())
}

async fn rates(
    arguments: &Measure,
    entries: &[Entry],
    parameters: &str,
    server: u32,
) -> Result<Vec<Outcome>, Error> {
    let (rounds, milliseconds) = if arguments.quick { (3, 100) } else { (15, 250) };
    let plan = Plan {
        rounds: arguments.rounds.unwrap_or(rounds),
        time: Duration::from_millis(arguments.milliseconds.unwrap_or(milliseconds)),
        pause: Duration::from_micros(arguments.pause),
        server,
    };
    let mut open = Vec::new();
    for entry in entries {
        open.push(Open {
            name: entry.name,
            race: (entry.open)(parameters.to_owned()).await?,
        });
    }
    let mut outcomes = Vec::new();
    for tasks in &arguments.tasks {
        outcomes.extend(rounds::measure(&open, *tasks, plan, EXCLUSIVE).await?);
    }
    Ok(outcomes)
}

fn count(arguments: &Measure, entries: &[Entry], parameters: &str) -> Result<Vec<Counts>, Error> {
    let one_thread = Bounded {
        parameters,
        tasks: TASKS_COUNTED,
        queries: if arguments.quick { 4_000 } else { 20_000 },
        threads: false,
    };
    let two_threads = Bounded {
        threads: true,
        ..one_thread.clone()
    };
    let (valgrind, strace) = (is_installed("valgrind"), is_installed("strace"));
    let mut counts = Vec::new();
    for entry in entries {
        let when = |installed: bool, counted: &dyn Fn() -> Result<f64, Error>| {
            installed.then(counted).transpose()
        };
        counts.push(Counts {
            name: entry.name,
            instructions: when(valgrind, &|| one_thread.instructions(entry.name))?,
            system_calls: when(strace, &|| one_thread.system_calls(entry.name))?,
            system_calls_threads: when(strace, &|| two_threads.system_calls(entry.name))?,
        });
    }
    Ok(counts)
}
