//! What queries cost before anything is sent: nanoseconds and allocations of putting them together,
//! and seconds of the compiler, beside peers.

use aquifer_bench::query::rounds::{self, Kind};
use aquifer_bench::query::{compile, table};
use aquifer_bench::{Error, marked};
use clap::{Parser, Subcommand, ValueEnum};
use densa_alloc::{CountingAllocator, thread_stats};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// Aquifer beside its peers: what queries cost before anything is sent.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Part>,
    /// Fewer rounds: whether everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Print all numbers as one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Leave out what the compiler takes, which lasts some minutes.
    #[arg(long)]
    no_compile: bool,
    /// Write the tables into the repository.
    #[arg(long, conflicts_with_all = ["quick", "no_compile"])]
    write: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Build one query so often and do nothing else, for callgrind.
    Bounded {
        /// The place of the builder in the tables, from 0.
        builder: usize,
        /// Which query.
        kind: Query,
        /// How often.
        count: u32,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Query {
    Seed,
    Wide,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    if let Some(Part::Bounded {
        builder,
        kind,
        count,
    }) = arguments.command
    {
        let kind = match kind {
            Query::Seed => Kind::Seed,
            Query::Wide => Kind::Wide,
        };
        rounds::build(builder, kind, count);
        return Ok(());
    }
    let (rounds, checks) = if arguments.quick {
        (201, 1)
    } else {
        (2_001, 5)
    };
    let allocations = || {
        let so_far = thread_stats();
        so_far.allocs + so_far.reallocs
    };
    let costs = rounds::measure(rounds, allocations);
    let mut tables = table::builders(&costs);
    println!("{tables}");
    let mut compiled = Vec::new();
    if !arguments.no_compile {
        compiled = compile::seconds(checks)?;
        let table = table::compiled(&compiled);
        println!("{table}");
        tables += "\n";
        tables += &table;
    }
    if arguments.write {
        let document = marked::put("queries", &tables)?;
        eprintln!("== wrote {}", document.display());
    }
    if arguments.json {
        println!("{}", table::json(&costs, &compiled));
    }
    Ok(())
}
