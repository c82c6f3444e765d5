//! Random faults under load: at the end nothing is lost, doubled or leaked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aquifer::{Db, Session};
use aquifer_testkit::{
    Cut, Direction, Ending, Fault, Ledger, Load, Meter, Mode, Postgres, Rehearsal, Shutdown,
};

use crate::failover::Layer;
use crate::support::{self, abort_at};

/// Tasks that write, and as many that read.
const TASKS: usize = 8;

/// From here on the memory is looked at: before, caches still fill.
const LONG: Duration = Duration::from_secs(240);

/// Within this, calls succeed again after a fault.
const RECOVERY: Duration = support::PATIENCE;

/// How long it takes; `cargo xtask deep soak` asks for ten minutes.
fn length() -> Duration {
    let seconds = std::env::var("AQUIFER_SOAK_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(20))
}

/// A small generator of our own, so that a failure can be run again.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn milliseconds(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}

/// Does one fault after the other, each on a system that works again.
struct Faults {
    rehearsal: Arc<Rehearsal>,
    meter: Meter,
    numbers: Numbers,
    done: BTreeMap<&'static str, u64>,
}

impl Faults {
    fn run(mut self, until: Instant) -> BTreeMap<&'static str, u64> {
        while Instant::now() < until {
            let fault = self.one();
            *self.done.entry(fault).or_default() += 1;
            let struck = Instant::now();
            self.recovered(fault);
            let (errors, after) = (self.meter.reads().1, struck.elapsed().as_millis());
            println!("   {fault:<28} well again {after:>5} ms later, {errors} reads failed so far");
        }
        self.done
    }

    fn one(&mut self) -> &'static str {
        let rehearsal = Arc::clone(&self.rehearsal);
        let primary = rehearsal.cluster().primary();
        let proxy = rehearsal.proxy(primary);
        let span = self.numbers.milliseconds(200, 2500);
        match self.numbers.below(10) {
            0 => {
                if let Some(backend) = self.backend(primary) {
                    primary.kill_backend(backend);
                    primary.wait_until_ready();
                }
                "backend killed"
            }
            1 => {
                if let Some(backend) = self.backend(primary) {
                    primary.psql(&format!("select pg_terminate_backend({backend})"));
                }
                "backend terminated"
            }
            2 => {
                proxy.cut_all(self.ending());
                "all connections cut"
            }
            3 => {
                for _ in 0..5 {
                    let direction = self.direction();
                    let number = self.numbers.below(300) + 1;
                    let cut = Cut::after_any(direction).nth(number);
                    proxy.cut(cut.with(self.ending()));
                }
                std::thread::sleep(span);
                proxy.clear_cuts();
                "connections cut at messages"
            }
            4 => {
                let most = self.numbers.milliseconds(2, 60);
                let least = Duration::ZERO;
                proxy.set(Mode::Jitter { least, most });
                std::thread::sleep(span);
                proxy.set(Mode::Pass);
                "delays"
            }
            5 => {
                let direction = self.direction();
                proxy.set_direction(direction, Mode::BlackHole);
                std::thread::sleep(span);
                proxy.set(Mode::Pass);
                "black hole"
            }
            6 => {
                let mode = match self.numbers.below(2) {
                    0 => Shutdown::Fast,
                    _ => Shutdown::Immediate,
                };
                primary.restart(mode);
                "restart"
            }
            7 => self.ddl(primary),
            _ => self.promotion(),
        }
    }

    fn promotion(&mut self) -> &'static str {
        let (fault, name) = match self.numbers.below(4) {
            0 => (Fault::Killed, "promotion, killed"),
            1 => (Fault::BlackHole, "promotion, black hole"),
            2 => (Fault::SplitBrain, "promotion, split brain"),
            _ => (Fault::LateSplitBrain, "promotion, late split brain"),
        };
        let decided = self.numbers.milliseconds(0, 500);
        let round = self.rehearsal.fail_over(fault, decided, &self.meter);
        assert_eq!(round.fenced_writes, 0, "{round}");
        self.rehearsal.cluster().primary().set_synchronous(true);
        name
    }

    /// Adds a column that readers do not ask for, or takes it away again.
    fn ddl(&mut self, primary: &Postgres) -> &'static str {
        let table = ["lookups", "ledger"][usize::from(self.numbers.below(2) == 0)];
        let there = format!(
            "select count(*) from pg_attribute where attrelid = '{table}'::regclass \
             and attname = 'extra' and not attisdropped"
        );
        let change = match primary.psql(&there).as_str() {
            "0" => "add column extra int",
            _ => "drop column extra",
        };
        primary.psql(&format!("alter table {table} {change}"));
        "DDL"
    }

    fn backend(&mut self, primary: &Postgres) -> Option<u32> {
        let sessions = primary.psql(
            "select pid from pg_stat_activity where application_name = 'aquifer' order by pid",
        );
        let pids: Vec<u32> = sessions.lines().map(|pid| pid.parse().unwrap()).collect();
        let chosen = self.numbers.below(pids.len().max(1) as u64);
        pids.get(usize::try_from(chosen).unwrap()).copied()
    }

    fn direction(&mut self) -> Direction {
        match self.numbers.below(2) {
            0 => Direction::ToClient,
            _ => Direction::ToServer,
        }
    }

    fn ending(&mut self) -> Ending {
        match self.numbers.below(2) {
            0 => Ending::Close,
            _ => Ending::Reset,
        }
    }

    /// Waits until reads and writes succeed again, and a few more.
    fn recovered(&self, fault: &str) {
        let progress = || (self.meter.done(), self.meter.reads().0);
        let (writes, reads) = progress();
        let end = Instant::now() + RECOVERY;
        loop {
            let now = progress();
            if now.0 >= writes + 50 && now.1 >= reads + 50 {
                return;
            }
            let complaints = self.meter.complaints();
            assert!(
                Instant::now() < end,
                "no recovery after: {fault}\n{complaints:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Drops calls at a random poll, for as long as it is not told to stop.
async fn drop_at_random(db: Db, stop: Arc<AtomicBool>, dropped: Arc<AtomicU64>) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    while !stop.load(Ordering::Relaxed) {
        let polls = usize::try_from(numbers.below(12)).unwrap() + 1;
        let insert = "insert into dropped default values";
        let outcome = match numbers.below(4) {
            0 => {
                let value = db.query_value::<i64>("select count(*) from lookups", ());
                abort_at(polls, value).await.is_some()
            }
            1 => abort_at(polls, db.execute(insert, ())).await.is_some(),
            2 => {
                let work = db.with_transaction(async |tx| tx.execute(insert, ()).await);
                abort_at(polls, work).await.is_some()
            }
            _ => {
                let begun = abort_at(polls, db.begin()).await;
                begun.is_some()
            }
        };
        dropped.fetch_add(u64::from(!outcome), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Resident memory of this process in KiB, at intervals.
async fn watch_memory(stop: Arc<AtomicBool>) -> Vec<u64> {
    let mut samples = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        samples.push(resident());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    samples
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// The growth over the last half in per cent: its last fifth against its first.
fn growth(samples: &[u64]) -> f64 {
    let half = &samples[samples.len() / 2..];
    let fifth = (half.len() / 5).max(1);
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len().max(1) as f64;
    let (first, last) = (mean(&half[..fifth]), mean(&half[half.len() - fifth..]));
    (last / first - 1.0) * 100.0
}

struct Report {
    seconds: u64,
    faults: BTreeMap<&'static str, u64>,
    ledger: Ledger,
    reads: (u64, u64),
    write_errors: u64,
    dropped: u64,
    files_left: i64,
    sessions_left: usize,
    tasks_left: usize,
    samples: Vec<u64>,
}

impl Report {
    fn json(&self) -> String {
        let mut faults = String::new();
        for (name, count) in &self.faults {
            let comma = if faults.is_empty() { "" } else { "," };
            write!(faults, "{comma}\"{name}\":{count}").unwrap();
        }
        let (reads, read_errors) = self.reads;
        let memory = self.samples.last().copied().unwrap_or(0);
        format!(
            "{{\"seconds\":{},\"faults\":{{{faults}}},\"reads\":{reads},\
             \"read_errors\":{read_errors},{},\"write_errors\":{},\"dropped_futures\":{},\
             \"tasks_left\":{},\"sessions_left\":{},\"files_left\":{},\"memory_kib\":{memory},\
             \"memory_growth_percent\":{:.2}}}",
            self.seconds,
            self.ledger.json_members(),
            self.write_errors,
            self.dropped,
            self.tasks_left,
            self.sessions_left,
            self.files_left,
            growth(&self.samples),
        )
    }
}

fn sessions(rehearsal: &Rehearsal) -> usize {
    let servers = rehearsal.cluster().servers().iter();
    let sql = "select count(*) from pg_stat_activity where application_name = 'aquifer'";
    let counts = servers.map(|server| server.psql(sql).parse::<usize>().unwrap());
    counts.sum()
}

async fn soak(rehearsal: &Arc<Rehearsal>, length: Duration) -> Report {
    let files = open_files();
    let url = format!("{}?target_session_attrs=primary", rehearsal.url());
    let layer = Layer::connect(&url, |config| config).await.with_replicas();
    let load = Load::start(&layer, TASKS);
    let stop = Arc::new(AtomicBool::new(false));
    let dropped = Arc::new(AtomicU64::new(0));
    let dropping = tokio::spawn(drop_at_random(
        layer.db.clone(),
        Arc::clone(&stop),
        Arc::clone(&dropped),
    ));
    let memory = tokio::spawn(watch_memory(Arc::clone(&stop)));
    let faults = Faults {
        rehearsal: Arc::clone(rehearsal),
        meter: load.meter(),
        numbers: Numbers(0x2545_f491_4f6c_dd1d),
        done: BTreeMap::new(),
    };
    let until = Instant::now() + length;
    let faults = tokio::task::spawn_blocking(move || faults.run(until));
    let faults = faults.await.expect("the system recovers from each fault");
    stop.store(true, Ordering::Relaxed);
    dropping.await.unwrap();
    let samples = memory.await.unwrap();
    let meter = load.meter();
    let ledger = load.finish(&layer, rehearsal.cluster().primary()).await;
    support::assert_whole(&layer.db).await;
    layer.db.shutdown(Duration::from_secs(10)).await;
    let tasks_left = layer.db.tasks_running();
    drop(layer);
    support::until("the server's sessions are gone", || {
        sessions(rehearsal) == 0
    })
    .await;
    let complaints = meter.complaints();
    Report {
        seconds: length.as_secs(),
        faults,
        ledger,
        reads: meter.reads(),
        write_errors: complaints.writes.values().sum(),
        dropped: dropped.load(Ordering::Relaxed),
        files_left: open_files() as i64 - files as i64,
        sessions_left: sessions(rehearsal),
        tasks_left,
        samples,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_lose_nothing_double_nothing_and_leak_nothing() {
    let rehearsal = tokio::task::spawn_blocking(|| {
        let rehearsal = Rehearsal::start();
        let primary = rehearsal.cluster().primary();
        primary.psql("create table dropped (id bigint generated always as identity)");
        primary.set_synchronous(true);
        rehearsal
    });
    let rehearsal = Arc::new(rehearsal.await.unwrap());
    let length = length();
    let report = soak(&rehearsal, length).await;
    println!("   {}", report.json());
    if let Some(file) = std::env::var_os("AQUIFER_REPORT") {
        std::fs::write(file, report.json()).unwrap();
    }
    let ledger = report.ledger;
    assert_eq!((ledger.lost, ledger.doubled, ledger.invented), (0, 0, 0));
    assert_eq!(ledger.unresolved, 0);
    assert_eq!(report.tasks_left, 0);
    if length >= LONG {
        // Only there it runs by itself: files are counted for the whole process.
        assert_eq!(report.files_left, 0);
        let growth = growth(&report.samples);
        assert!(growth <= 5.0, "memory grew by {growth} %");
    }
}
