//! The library beside the pools and drivers of others, with everything that a service does to its
//! database.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aquifer_bench::bounded::{self, BoundedRun};
use aquifer_bench::counted::{Bounded, Counts, is_installed};
use aquifer_bench::peers::{self, AQUIFER, BARE, NOTHING, WIRE, node};
use aquifer_bench::report::{self, Measured};
use aquifer_bench::sections::{self, Section, Way};
use aquifer_bench::workloads::storm;
use aquifer_bench::{
    Durability, Entry, Error, Place, Server, Workload, document, figures, rounds, runtime,
};
use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Aquifer beside its peers, on private PostgreSQL servers.
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
    /// Fewer numbers of tasks, shorter rounds, and counts of our own only: at most ten minutes.
    #[arg(long)]
    quick: bool,
    /// Print all numbers as one JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Only these sections, by their keys (see --list), or `counts`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only contenders whose names contain one of these; the reference always runs.
    #[arg(long, value_delimiter = ',')]
    contenders: Vec<String>,
    /// How many tasks work at once, instead of what each section has.
    #[arg(long, value_delimiter = ',')]
    tasks: Vec<usize>,
    /// How many rounds, instead of what each section has.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each contender runs in a round, instead of what each section has.
    #[arg(long)]
    milliseconds: Option<u64>,
    /// Write the tables and plots into the repository even when the run is not the full one.
    #[arg(long)]
    write: bool,
    /// Name the sections and the contenders, and measure nothing.
    #[arg(long)]
    list: bool,
}

impl Measure {
    fn wants(&self, key: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == key)
    }

    /// Whether the results shall stand in the repository: those of a full run do.
    fn writes(&self) -> bool {
        let narrowed = !self.only.is_empty() || !self.contenders.is_empty();
        let shortened = self.quick || self.rounds.is_some() || self.milliseconds.is_some();
        self.write || (!narrowed && !shortened && self.tasks.is_empty())
    }

    fn sections(&self) -> Result<Vec<Section>, Error> {
        let mut sections = sections::all(self.quick);
        let known = |only: &&String| {
            *only == "counts" || sections.iter().any(|section| section.key == only.as_str())
        };
        if let Some(unknown) = self.only.iter().find(|only| !known(only)) {
            return Err(format!("no section is called {unknown}; --list names them").into());
        }
        sections.retain(|section| self.wants(section.key));
        for section in &mut sections {
            if !self.tasks.is_empty() && !section.is_timed() {
                section.tasks.clone_from(&self.tasks);
            }
            section.rounds = self.rounds.unwrap_or(section.rounds);
            section.milliseconds = self.milliseconds.unwrap_or(section.milliseconds);
        }
        Ok(sections)
    }

    /// The contenders of a section that were asked for and can run.
    fn entries(&self, section: &Section, all: &[Entry]) -> Vec<Entry> {
        let mut entries = section.entries(all);
        entries.retain(|entry| {
            let wanted = |name: &String| entry.name.contains(name.as_str());
            let asked = self.contenders.is_empty() || self.contenders.iter().any(wanted);
            (asked || entry.name == section.reference())
                && (entry.name != node::NODE || node::is_ready())
        });
        entries
    }
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Part::Bounded(run)) => {
            let mut entries = peers::all();
            entries.push(NOTHING);
            run.run(&entries)
        }
        None if arguments.measure.list => {
            for section in sections::all(arguments.measure.quick) {
                println!("{}: {}", section.key, section.title);
                for entry in section.entries(&peers::all()) {
                    println!("    {}", entry.name);
                }
            }
            Ok(())
        }
        None => measure(&arguments.measure),
    }
}

fn measure(arguments: &Measure) -> Result<(), Error> {
    let start = Instant::now();
    let mut missing = Vec::new();
    let installed = node::install().map_err(|error| missing.push(format!("node pg: {error}")));
    for program in ["valgrind", "strace"] {
        if !is_installed(program) {
            missing.push(format!("{program} is not installed, so it counted nothing"));
        }
    }
    for message in &missing {
        eprintln!("== not run: {message}");
    }
    let runtime = runtime::start(false)?;
    let mut servers = Servers::new(&runtime);
    let mut measured = Vec::new();
    for section in arguments.sections()? {
        measured.push(servers.measure(arguments, section)?);
        if let Some(measured) = measured.last() {
            println!("{}", measured.markdown());
        }
    }
    let mut counts = Vec::new();
    if arguments.wants("counts") {
        counts = count(arguments, &servers.place(Durability::Off, Way::Unix)?)?;
        println!("{}", counts_markdown(&counts));
    }
    let setting = servers.setting()?;
    drop(servers);
    drop(installed);
    let seconds = start.elapsed().as_secs();
    let setting = format!("{setting}; {} min {} s in all", seconds / 60, seconds % 60);
    if arguments.writes() {
        let sections: String = measured.iter().map(|one| one.markdown() + "\n").collect();
        let not_run: String = missing
            .iter()
            .map(|one| format!("- Not run: {one}\n"))
            .collect();
        let tables = format!(
            "{setting}.\n{not_run}\n{sections}{}",
            counts_markdown(&counts)
        );
        for path in document::write(&tables, &measured)? {
            eprintln!("== wrote {}", path.display());
        }
    }
    println!("{setting}");
    if arguments.json {
        println!("{}", as_json(&measured, &counts, &missing, &setting));
    }
    Ok(())
}

fn counts_markdown(counts: &[Counts]) -> String {
    format!(
        "### What one query costs the client\n\nOne row by its key at {} tasks, harness subtracted \
         from instructions and allocations:\n\n{}",
        bounded::TASKS,
        report::counts(counts)
    )
}

fn as_json(measured: &[Measured], counts: &[Counts], missing: &[String], setting: &str) -> Value {
    let mut all = figures::of(measured, counts);
    all.insert("missing".to_owned(), json!(missing));
    all.insert("setting".to_owned(), json!(setting));
    all.insert("counts".to_owned(), report::counts_as_json(counts));
    let sections: Vec<_> = measured.iter().map(Measured::as_json).collect();
    all.insert("sections".to_owned(), json!(sections));
    Value::Object(all)
}

/// The private servers, each started when it is first needed.
struct Servers<'a> {
    runtime: &'a Runtime,
    running: BTreeMap<bool, Server>,
}

impl<'a> Servers<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        Self {
            runtime,
            running: BTreeMap::new(),
        }
    }

    fn server(&mut self, durability: Durability) -> Result<&Server, Error> {
        let durable = durability == Durability::On;
        if !self.running.contains_key(&durable) {
            eprintln!("== starting PostgreSQL, fsync {durability:?}");
            let server = self.runtime.block_on(Server::start(durability))?;
            self.running.insert(durable, server);
        }
        let server = self.running.get(&durable);
        server.ok_or_else(|| "the server was not kept".into())
    }

    fn place(&mut self, durability: Durability, way: Way) -> Result<Place, Error> {
        let server = self.server(durability)?;
        match way {
            Way::Unix => Ok(server.unix()),
            Way::Tcp => Ok(server.tcp()),
            Way::Delayed(microseconds) => server.delayed(Duration::from_micros(microseconds)),
        }
    }

    fn measure(&mut self, arguments: &Measure, section: Section) -> Result<Measured, Error> {
        let place = self.place(section.durability, section.way)?;
        let entries = arguments.entries(&section, &peers::all());
        let runtime = self.runtime;
        let server = self.server(section.durability)?;
        announce(&section, entries.len());
        let start = Instant::now();
        let outcomes = runtime.block_on(run(&section, &entries, &place, server))?;
        eprintln!("   {:.0} s", start.elapsed().as_secs_f64());
        Ok(Measured { section, outcomes })
    }

    /// On what all this ran.
    fn setting(&mut self) -> Result<String, Error> {
        let runtime = self.runtime;
        let server = self.server(Durability::Off)?;
        let version = runtime.block_on(server.version())?;
        let processors = std::thread::available_parallelism()?;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or("unknown");
        Ok(format!(
            "PostgreSQL {version} and client on one machine with {processors} processors \
             ({}, {}), tokio with two worker threads, load average at the end {load}",
            std::env::consts::ARCH,
            std::env::consts::OS
        ))
    }
}

fn announce(section: &Section, contenders: usize) {
    let Section {
        key, title, tasks, ..
    } = section;
    let turns = (tasks.len() * contenders) as u64;
    let time = turns * section.milliseconds * (4 * section.rounds as u64 + 1) / 4;
    eprintln!(
        "== {key}: {title}; {contenders} contenders, {tasks:?} tasks, {} rounds, about {} s",
        section.rounds,
        time.div_ceil(1_000)
    );
}

async fn run(
    section: &Section,
    entries: &[Entry],
    place: &Place,
    server: &Server,
) -> Result<Vec<rounds::Outcome>, Error> {
    if section.workload == Workload::Storm {
        return storm::measure(entries, place, section.rounds, server).await;
    }
    let open = rounds::open(entries, place).await?;
    server.checkpoint().await?;
    let mut outcomes = Vec::new();
    for tasks in &section.tasks {
        let (workload, plan) = (section.workload, section.plan());
        outcomes.extend(rounds::measure(&open, workload, *tasks, plan, server).await?);
    }
    Ok(outcomes)
}

/// Counts for all that can run by themselves; in a quick run, for ours and one to compare with.
fn count(arguments: &Measure, place: &Place) -> Result<Vec<Counts>, Error> {
    let one_thread = Bounded {
        place,
        tasks: bounded::TASKS,
        queries: if arguments.quick { 6_000 } else { 20_000 },
        threads: false,
    };
    let (valgrind, strace) = (is_installed("valgrind"), is_installed("strace"));
    let mut counts = Vec::new();
    for entry in peers::all() {
        let asked = arguments.contenders.is_empty();
        let asked = asked
            || arguments
                .contenders
                .iter()
                .any(|name| entry.name.contains(name));
        let in_quick = [AQUIFER, WIRE, BARE].contains(&entry.name);
        let selects = entry.offers.contains(&Workload::Select) && entry.name != node::NODE;
        if selects && asked && (in_quick || !arguments.quick) {
            eprintln!("== counting for one query: {}", entry.name);
            counts.push(one_thread.all(entry.name, valgrind, strace)?);
        }
    }
    Ok(counts)
}
