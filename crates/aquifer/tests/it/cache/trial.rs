//! Four processes with a cache each, under all faults: no read is staler than promised.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use aquifer::{CacheOptions, Config, Db, Error, ErrorKind, Session};
use aquifer_testkit::{Cached, Figures, Loading, Part, Trial, Way};
use serde::{Deserialize, Serialize};

/// A process of the trial is this program again, with nothing to do but this test.
const PROCESS: &str = "cache::trial::a_process_of_the_trial";

/// So many reads are checked where there is time.
const READS: u64 = 10_000_000;

/// A connection to Redis that is silent for longer is in doubt.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Serialize, Deserialize)]
struct Cell {
    id: i32,
    version: i64,
}

#[derive(Clone)]
struct Layered(Db);

impl Layered {
    async fn connect(part: &Part) -> Self {
        let config = Config::from_url(part.database.as_str()).unwrap();
        let config = config.redis_url(part.redis.as_str());
        let config = config.redis_timeout(REDIS_TIMEOUT);
        let db = Db::connect_with(&config).await.unwrap();
        super::until_linked(db.cache()).await;
        Self(db)
    }
}

fn key(cell: u32) -> String {
    format!("cell:{cell}")
}

/// Only cells that are invalidated by it have a tag.
fn options(cell: u32) -> CacheOptions {
    match Way::of(cell) {
        Way::Invalidate => CacheOptions::new().tag(key(cell)),
        _ => CacheOptions::new(),
    }
}

/// The same text for errors of the same kind.
fn text(error: Error) -> String {
    format!("{:?}", error.kind())
}

/// A value of another cell is what nobody has written.
fn version_of(cell: u32, value: &Cell) -> i64 {
    if value.id == id(cell) {
        value.version
    } else {
        i64::MIN
    }
}

fn id(cell: u32) -> i32 {
    i32::try_from(cell).unwrap()
}

impl Cached for Layered {
    async fn read(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        let db = self.0.clone();
        let load = move || async move {
            let version = db.query_value("select version from cells where id = $1", (id(cell),));
            let version: Result<i64, Error> = loading.around(version).await;
            Ok(Cell {
                id: id(cell),
                version: version?,
            })
        };
        let (key, options) = (key(cell), options(cell));
        let found = self.0.cache().get_or_load_with(&key, &options, load).await;
        found.map(|value| version_of(cell, &value)).map_err(text)
    }

    async fn peek(&self, cell: u32) -> Result<Option<i64>, String> {
        let found = self.0.cache().get::<Cell>(&key(cell)).await.map_err(text)?;
        Ok(found.map(|value| version_of(cell, &value)))
    }

    async fn write(&self, cell: u32, way: Way) -> Result<i64, String> {
        let write = "update cells set version = version + 1 where id = $1 returning version";
        let version = self.0.query_value(write, (id(cell),)).await.map_err(text)?;
        let cache = self.0.cache();
        match way {
            Way::Invalidate => cache.invalidate([key(cell)]).await,
            Way::Set => {
                let value = Cell {
                    id: id(cell),
                    version,
                };
                cache.set_with(&key(cell), &value, &options(cell)).await
            }
            _ => cache.delete([key(cell)]).await.map(drop),
        }
        .map_err(text)?;
        Ok(version)
    }

    async fn take_back(&self, cell: u32) -> Result<(), String> {
        let layer = self.clone();
        let taken_back = self.0.with_transaction(async |tx| {
            let spoil = "update cells set version = -version - 1 where id = $1";
            tx.execute(spoil, (id(cell),)).await?;
            // Not a load of this transaction.
            let _seen_by_others_too = layer.read(cell, Loading::default()).await;
            Err::<(), Error>(tx.query("select 1 / 0", ()).await.unwrap_err())
        });
        match taken_back.await {
            Err(error) if error.kind() == ErrorKind::Connection => Err(text(error)),
            _ => Ok(()),
        }
    }

    fn owes(&self) -> bool {
        self.0.cache().status().has_missed_bumps
    }
}

/// As `cargo xtask deep cache` says it, or for the gate.
fn told<T: FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seed() -> u64 {
    told("AQUIFER_TRIAL_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 12)
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", PROCESS, "--ignored", "--nocapture"]);
    command
}

fn print(what: impl Display, figures: &Figures) {
    println!("   {what}: {}", figures.json());
    for (error, count) in &figures.errors {
        println!("   {count} x {error}");
    }
    for line in &figures.told {
        println!("   {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is a process of the trial, which starts it"]
async fn a_process_of_the_trial() {
    let part = Part::of_this_process().expect("only the trial starts it");
    let layered = Layered::connect(&part).await;
    let db = layered.0.clone();
    part.work(layered).await;
    db.close().await.unwrap();
}

/// `cargo xtask deep cache` gives it more time, and its readers no rest.
#[test]
fn no_read_of_four_processes_is_staler_than_promised_whatever_happens() {
    let seed = seed();
    println!("   again with AQUIFER_TRIAL_SEED={seed}");
    let trial = |seconds| Trial::new(Duration::from_secs(seconds), seed);
    let trial = match told("AQUIFER_TRIAL_SECONDS") {
        Some(seconds) => trial(seconds).reads_min(READS),
        // Beside others that need the machine too.
        None => trial(45).pause(Duration::from_millis(20)),
    };
    let figures = trial.run(this_program);
    print("trial", &figures);
    if let Some(file) = std::env::var_os("AQUIFER_REPORT") {
        std::fs::write(file, figures.json()).unwrap();
    }
    assert!(!figures.is_wrong(), "with the seed {seed}");
    assert!(figures.reads > 0 && figures.writes > 0);
}

/// Built and run by `cargo xtask deep cache`.
#[cfg(mutants)]
#[test]
fn each_rule_that_is_left_out_is_found_out() {
    let only: Option<String> = told("AQUIFER_MUTANTS_ONLY");
    let limit = Duration::from_secs(told("AQUIFER_MUTANT_SECONDS").unwrap_or(60));
    let mut missed = Vec::new();
    let mut rules = aquifer::CACHE_RULES.to_vec();
    rules.retain(|rule| only.as_ref().is_none_or(|only| only == rule));
    for rule in &rules {
        let process = || {
            let mut command = this_program();
            command.env("AQUIFER_MUTANT", rule);
            command
        };
        let (seed, begun) = (seed(), std::time::Instant::now());
        let figures = Trial::new(limit, seed).until_found().run(process);
        let took = begun.elapsed();
        println!("   without {rule}: {} after {took:.1?}", figures.is_wrong());
        print(rule, &figures);
        if !figures.is_wrong() {
            missed.push(*rule);
        }
    }
    if let Some(file) = std::env::var_os("AQUIFER_REPORT") {
        let (mutants, caught) = (rules.len(), rules.len() - missed.len());
        let report = format!("{{\"mutants\":{mutants},\"mutants_caught\":{caught}}}");
        std::fs::write(file, report).unwrap();
    }
    assert!(missed.is_empty(), "not found out: {missed:?}");
}
