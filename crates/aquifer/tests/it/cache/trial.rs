//! Four processes with a cache each, under all faults: no read is staler than promised.

use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use aquifer::{AssertSafe, CacheOptions, Config, Db, Error, ErrorKind, Session};
use aquifer_testkit::{
    CELLS, Cached, Failpoint, Figures, List, Loading, Part, Trial, Versions, Way,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A process of the trial is this program again, with nothing to do but this test.
const PROCESS: &str = "cache::trial::a_process_of_the_trial";

/// So many reads are checked where there is time.
const READS: u64 = 10_000_000;

/// A connection to Redis that is silent for longer is in doubt.
const REDIS_TIMEOUT: Duration = Duration::from_millis(500);

/// How long results of queries are kept: longer than any trial.
const HOUR: Duration = Duration::from_secs(3_600);

/// What is kept of a cell.
trait Kept: Serialize + DeserializeOwned + Send + Sync + 'static {
    fn new(id: i32, version: i64) -> Self;
    fn parts(&self) -> (i32, i64);
}

#[derive(Serialize, Deserialize)]
struct Cell {
    id: i32,
    version: i64,
}

/// As an earlier version of the program has it, of which one process is.
#[derive(Serialize, Deserialize)]
struct EarlierCell {
    revision: i64,
    number: i32,
}

impl Kept for Cell {
    fn new(id: i32, version: i64) -> Self {
        Self { id, version }
    }

    fn parts(&self) -> (i32, i64) {
        (self.id, self.version)
    }
}

impl Kept for EarlierCell {
    fn new(number: i32, revision: i64) -> Self {
        Self { revision, number }
    }

    fn parts(&self) -> (i32, i64) {
        (self.number, self.revision)
    }
}

#[derive(Clone)]
struct Layered {
    db: Db,
    is_earlier: bool,
}

impl Layered {
    async fn connect(part: &Part) -> Self {
        let config = Config::from_url(part.database.as_str()).unwrap();
        let config = config.redis_url(part.redis.as_str());
        let config = config.redis_timeout(REDIS_TIMEOUT);
        let db = Db::connect_with(&config).await.unwrap();
        super::until_linked(db.cache()).await;
        let is_earlier = part.place() == 3;
        Self { db, is_earlier }
    }

    /// Whether this process knows the cell by another type than the others. Not those of herds.
    fn is_earlier(&self, cell: u32) -> bool {
        self.is_earlier && cell < CELLS && cell % 8 < 4
    }

    async fn read_as<T: Kept>(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        let options = match loading.is_fresh() {
            true => options(cell).max_staleness(Duration::ZERO),
            false => options(cell),
        };
        let db = self.db.clone();
        let load = move || async move {
            let version = db.query_value("select version from cells where id = $1", (id(cell),));
            let version: Result<i64, Error> = loading.around(version).await;
            Ok(T::new(id(cell), version?))
        };
        let (key, cache) = (key(cell), self.db.cache());
        let found = cache.get_or_load_with(&key, &options, load).await;
        found
            .map(|value| version_of::<T>(cell, &value))
            .map_err(text)
    }

    async fn peek_as<T: Kept>(&self, cell: u32) -> Result<Option<i64>, String> {
        let found = self.db.cache().get::<T>(&key(cell)).await;
        let found = found.map_err(text)?;
        Ok(found.map(|value| version_of::<T>(cell, &value)))
    }

    async fn set<T: Kept>(&self, cell: u32, version: i64) -> Result<(), Error> {
        let value = T::new(id(cell), version);
        let (key, options) = (key(cell), options(cell));
        self.db.cache().set_with(&key, &value, &options).await
    }

    async fn read_listed(&self, (list, cell): (List, u32)) -> Result<i64, String> {
        let row = self.db.from(list.table()).where_("id", "=", id(cell));
        let version = row.cache(HOUR).value("version").await.map_err(text)?;
        version.ok_or_else(|| "no row".to_owned())
    }

    /// Each cell of a list in another way.
    async fn write_listed(&self, (list, cell): (List, u32)) -> Result<i64, String> {
        let (table, id) = (list.table(), id(cell));
        let raise = format!("update {table} set version = version + 1");
        let written = match cell % 4 {
            0 => {
                let by_key = AssertSafe(format!("{raise} where id = $1 returning version"));
                self.db.query_value(by_key, (id,)).await
            }
            1 => {
                let other = "id > $1 - 1 and id < $1 + 1";
                let by_other = AssertSafe(format!("{raise} where {other} returning version"));
                self.db.query_value(by_other, (id,)).await
            }
            2 => {
                let insert = format!(
                    "insert into {table} as old values ($1, 0) on conflict (id) \
                     do update set version = old.version + 1 returning version"
                );
                self.db.query_value(AssertSafe(insert), (id,)).await
            }
            _ => {
                let by_key = format!("{raise} where id = $1 returning version");
                let raised = self.db.with_transaction(async |tx| {
                    let version = tx.query_value(AssertSafe(by_key.clone()), (id,));
                    version.await
                });
                raised.await
            }
        };
        written.map_err(text)
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
fn version_of<T: Kept>(cell: u32, value: &T) -> i64 {
    match value.parts() {
        (of, version) if of == id(cell) => version,
        _ => i64::MIN,
    }
}

fn id(cell: u32) -> i32 {
    i32::try_from(cell).unwrap()
}

impl Cached for Layered {
    async fn read(&self, cell: u32, loading: Loading) -> Result<i64, String> {
        match List::of(cell) {
            Some(list) => self.read_listed((list, cell)).await,
            None if self.is_earlier(cell) => self.read_as::<EarlierCell>(cell, loading).await,
            None => self.read_as::<Cell>(cell, loading).await,
        }
    }

    async fn peek(&self, cell: u32) -> Result<Option<i64>, String> {
        match self.is_earlier(cell) {
            true => self.peek_as::<EarlierCell>(cell).await,
            false => self.peek_as::<Cell>(cell).await,
        }
    }

    async fn list(&self, list: List) -> Result<Versions, String> {
        let all = self.db.from(list.table()).cache(HOUR);
        let rows = all.get_as::<(i32, i64)>().await.map_err(text)?;
        let cell = |(id, version)| (u32::try_from(id).unwrap(), version);
        Ok(rows.into_iter().map(cell).collect())
    }

    async fn write(&self, cell: u32, way: Way, committed: Failpoint) -> Result<i64, String> {
        if let Some(list) = List::of(cell) {
            return self.write_listed((list, cell)).await;
        }
        let write = "update cells set version = version + 1 where id = $1 returning version";
        let version = self.db.query_value(write, (id(cell),)).await;
        let version = version.map_err(text)?;
        committed.reach();
        let cache = self.db.cache();
        match way {
            Way::Invalidate => cache.invalidate([key(cell)]).await,
            Way::Set if self.is_earlier(cell) => self.set::<EarlierCell>(cell, version).await,
            Way::Set => self.set::<Cell>(cell, version).await,
            _ => cache.delete([key(cell)]).await.map(drop),
        }
        .map_err(text)?;
        Ok(version)
    }

    async fn take_back(&self, cell: u32) -> Result<(), String> {
        let layer = self.clone();
        let taken_back = self.db.with_transaction(async |tx| {
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
        self.db.cache().status().has_missed_bumps
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
    let db = layered.db.clone();
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
        None => trial(40).pause(Duration::from_millis(20)),
    };
    let figures = trial.run(this_program);
    print("trial", &figures);
    if let Some(file) = std::env::var_os("AQUIFER_REPORT") {
        std::fs::write(file, figures.json()).unwrap();
    }
    assert!(!figures.is_wrong(), "with the seed {seed}");
    assert!(figures.reads > 0 && figures.lists > 0 && figures.writes > 0);
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
