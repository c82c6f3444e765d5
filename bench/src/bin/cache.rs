//! The cache beside what it is made of, and beside one that was put together by hand.

use std::time::Duration;

use aquifer::Config;
use aquifer_bench::cache::hits::{self, Hit};
use aquifer_bench::cache::outage::{self, Blip, Outage};
use aquifer_bench::cache::remote::{self, Remote};
use aquifer_bench::cache::trial::{self, Whose};
use aquifer_bench::{Error, cache, marked};
use aquifer_testkit::{Figures, Redis};
use clap::{Parser, Subcommand};
use densa_alloc::{CountingAllocator, thread_stats};
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::system();

/// The cache: hits in memory and in Redis, herds, outages, and stale reads beside a cache made by hand.
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
    /// Seconds under faults, for each cache; 0 leaves stale reads out.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// By what the faults are chosen.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the tables into the repository.
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Be a process of the trial, which starts it.
    Process {
        /// Whose.
        whose: String,
    },
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    if let Some(Part::Process { whose }) = &arguments.command {
        return trial::process(whose).await;
    }
    let rounds = if arguments.quick { 51 } else { 1_001 };
    let server = tokio::task::spawn_blocking(Redis::start).await?;
    let linked = cache::linked(&Config::new().redis_url(server.url())).await?;
    let allocations = || {
        let so_far = thread_stats();
        so_far.allocs + so_far.reallocs
    };
    // In this task, so that the thread is the same for all.
    let hits = hits::measure(&linked, rounds, allocations).await?;
    let remote = remote::measure(&server.url(), &linked, rounds / 3).await?;
    tokio::task::spawn_blocking(move || drop(server)).await?;
    let outages = outage::measure().await?;
    let blip = outage::blip().await?;
    let mut trials = Vec::new();
    if arguments.seconds > 0 {
        let (time, seed) = (Duration::from_secs(arguments.seconds), arguments.seed);
        for whose in Whose::ALL {
            eprintln!("== {} under faults", whose.name());
            let run = move || trial::run(whose, time, seed).map_err(|error| error.to_string());
            let figures = tokio::task::spawn_blocking(run).await??;
            for line in figures.told.iter().take(3) {
                eprintln!("   {line}");
            }
            for (error, count) in &figures.errors {
                eprintln!("   {count} x {error}");
            }
            trials.push((whose, figures));
        }
    }
    let tables = tables(&hits, &remote, (&outages, blip), &trials);
    println!("{tables}");
    if arguments.write {
        let document = marked::put("cache", &tables)?;
        eprintln!("== wrote {}", document.display());
    }
    if arguments.json {
        println!("{}", figures(&hits, &remote, (&outages, blip), &trials));
    }
    Ok(())
}

fn tables(
    hits: &[Hit],
    remote: &Remote,
    (outages, blip): (&[Outage], Blip),
    trials: &[(Whose, Figures)],
) -> String {
    let mut text = "| a value in memory | ns | over quick_cache | over moka | allocations |\n\
                    |---|---|---|---|---|\n"
        .to_owned();
    for hit in hits {
        text += &format!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.2} |\n",
            hit.name, hit.nanoseconds, hit.ratio, hit.ratio_to_moka, hit.allocations
        );
    }
    text += &format!(
        "\n| a value in Redis | µs, median | over GET |\n|---|---|---|\n\
         | redis-rs, GET | {:.0} | 1.00 |\n\
         | aquifer, GET by its handle | {:.0} | {:.2} |\n\
         | aquifer, value with stamps | {:.0} | {:.2} |\n\n\
         Commands that Redis carries out, those within scripts too: {:.2} for a value in memory, {:.2} for one in Redis, {:.2} for \
         one that is loaded, {:.2} for a change.\n\n",
        remote.get,
        remote.get_by_layer,
        remote.get_by_layer / remote.get,
        remote.hit,
        remote.ratio,
        remote.commands_local,
        remote.commands_remote,
        remote.commands_load,
        remote.commands_set,
    );
    text += "| `get_or_load`, p99 in ms | before | in the first half second | after that | longest then | \
             errors |\n|---|---|---|---|---|---|\n";
    for outage in outages {
        text += &format!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {} |\n",
            outage.name, outage.before, outage.noticing, outage.away, outage.longest, outage.errors
        );
    }
    text += &format!(
        "\nAfter two seconds without a network {} of {} values in memory were loaded again.\n",
        blip.loaded, blip.values
    );
    if !trials.is_empty() {
        text += "\n| four processes under faults | reads | staler than 1 s, or never written | own writes \
                 missed | seen elsewhere, p99 ms | loads for 1,000 callers |\n|---|---|---|---|---|---|\n";
    }
    for (whose, figures) in trials {
        let p99 = figures.propagation_ms_p99;
        text += &format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            whose.name(),
            figures.reads,
            figures.violations,
            figures.read_your_writes_violations,
            p99.map_or_else(|| "–".to_owned(), |p99| format!("{p99:.1}")),
            figures.herd_queries
        );
    }
    text
}

fn figures(
    hits: &[Hit],
    remote: &Remote,
    (outages, blip): (&[Outage], Blip),
    trials: &[(Whose, Figures)],
) -> Value {
    let mut all = Map::new();
    let mut put = |name: &str, figure: f64| {
        all.insert(name.to_owned(), json!((figure * 1e3).round() / 1e3));
    };
    for (hit, name) in hits
        .iter()
        .zip(["quick_cache", "moka", "l1_hit", "l1_hit_or_load"])
    {
        put(&format!("{name}_ns"), hit.nanoseconds);
        put(&format!("{name}_over_quick_cache"), hit.ratio);
        put(&format!("{name}_over_moka"), hit.ratio_to_moka);
        put(&format!("{name}_allocations"), hit.allocations);
    }
    put("get_us", remote.get);
    put("l2_hit_us", remote.hit);
    put("l2_hit_over_get", remote.ratio);
    put("commands_per_l1_hit", remote.commands_local);
    put("commands_per_l2_hit", remote.commands_remote);
    put("commands_per_load", remote.commands_load);
    put("commands_per_set", remote.commands_set);
    for (outage, name) in outages.iter().zip(["hang", "kill"]) {
        put(&format!("{name}_p99_ms"), outage.away);
        put(&format!("{name}_noticing_p99_ms"), outage.noticing);
        put(&format!("{name}_errors"), outage.errors as f64);
    }
    put("blip_loaded", blip.loaded as f64);
    put("blip_values", blip.values as f64);
    for (whose, figures) in trials {
        let name = whose.word().replace('-', "_");
        put(&format!("{name}_reads"), figures.reads as f64);
        put(&format!("{name}_violations"), figures.violations as f64);
        let own = figures.read_your_writes_violations;
        put(&format!("{name}_read_your_writes_violations"), own as f64);
        put(&format!("{name}_herd_queries"), figures.herd_queries as f64);
        if let Some(p99) = figures.propagation_ms_p99 {
            put(&format!("{name}_propagation_ms_p99"), p99);
        }
    }
    Value::Object(all)
}
