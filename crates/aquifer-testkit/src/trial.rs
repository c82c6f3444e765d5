//! Several processes, each with a cache in front of one database, and every read is checked.
//!
//! Each cell is a row of the table `cells`, whose version every write raises by one, so that the database
//! says in which order writes were. A process writes down, with the clock that all processes of a machine
//! share, what it read and wrote and when ([`Part`]); whoever started them ([`Trial`]) does harm to their
//! network, to Redis and to the processes themselves, and holds each read against the writes of all:
//!
//! - What a process was told is done, its own reads from then on see: *read your writes*.
//! - A read that begins a second after a write was acknowledged, anywhere, sees it: the *bound*.
//! - A fresh read sees all that was acknowledged anywhere before it began.
//! - Nobody reads what was not written yet, or was taken back.
//! - What one list shows was there at the same time.

mod faults;
mod figures;
mod history;
mod layer;
mod part;
mod processes;
mod reader;
mod record;
mod tasks;
mod writers;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use faults::Faults;
use processes::Processes;

pub use figures::Figures;
pub use layer::{CELLS, Cached, Failpoint, List, Loading, Versions, Way};
pub use part::Part;

use crate::numbers::Numbers;
use crate::{Mode, Postgres, Proxy, Redis, Upstream};

/// How long after a write was acknowledged others may still read what was before.
const BOUND: Duration = Duration::from_secs(1);

const SCHEMA: &str = "
    create table cells (id int primary key, version bigint not null);
    insert into cells select id, 0 from generate_series(0, 9999) as id;";

/// How many processes there are.
const PROCESSES: usize = 4;

/// Without any fault at the beginning: how soon changes are seen is measured then.
const CALM: Duration = Duration::from_secs(5);

/// How often processes miss the same thing all at once, before anything else.
const HERDS: u32 = 5;

/// Processes, the servers that they share, and what is done to them.
#[derive(Clone, Debug)]
pub struct Trial {
    time: Duration,
    seed: u64,
    pause: Duration,
    until_found: bool,
    reads_min: u64,
}

impl Trial {
    /// So long under faults. What is chosen at random is chosen by the seed; what happens at the same
    /// time on a machine is not.
    #[must_use]
    pub fn new(time: Duration, seed: u64) -> Self {
        Self {
            time,
            seed,
            pause: Duration::from_millis(1),
            until_found: false,
            reads_min: 0,
        }
    }

    /// How long each reader rests after some tens of reads. Default: 1 ms.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Goes on until so many reads were checked, if that takes not longer than four times as long.
    #[must_use]
    pub fn reads_min(mut self, reads: u64) -> Self {
        self.reads_min = reads;
        self
    }

    /// Ends as soon as something wrong was found.
    #[must_use]
    pub fn until_found(mut self) -> Self {
        self.until_found = true;
        self
    }

    /// Runs it; `process` is a program that calls [`Part::work`]. Blocks.
    pub fn run(&self, process: impl Fn() -> Command) -> Figures {
        let servers = Servers::start();
        let part = |number| Part {
            number,
            seed: self.seed,
            pause: self.pause,
            database: servers.database_url(),
            redis: servers.redis_url(number),
        };
        let mut processes = Processes::start((0..PROCESSES).map(part), process);
        let herds = (0..HERDS).map(|herd| processes.herd(layer::ALL_CELLS + herd));
        let herd = herds.max().unwrap_or(0);
        processes.order("go");
        let calm_from = record::now();
        self.wait(CALM, &processes);
        let calm_until = record::now();
        let mut faults = Faults::new(&servers, Numbers::of(self.seed));
        let begun = Instant::now();
        while self.goes_on(begun, &processes) {
            faults.one(&mut processes);
            self.wait(faults.respite(), &processes);
        }
        servers.heal();
        if !self.is_over(&processes) {
            processes.settle(BOUND);
        }
        let mut figures = Figures::of(&processes.end(), (calm_from, calm_until));
        figures.seed = self.seed;
        figures.herd_queries = herd;
        figures.faults = faults.done();
        figures.tell_of(&faults.told());
        figures
    }

    fn goes_on(&self, begun: Instant, processes: &Processes<'_>) -> bool {
        let wants_more = || processes.history().reads() < self.reads_min;
        let time = begun.elapsed();
        (time < self.time || time < 4 * self.time && wants_more()) && !self.is_over(processes)
    }

    fn is_over(&self, processes: &Processes<'_>) -> bool {
        self.until_found && processes.history().is_wrong()
    }

    /// Not longer than until something was found, if that ends it.
    fn wait(&self, time: Duration, processes: &Processes<'_>) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(50).min(end - Instant::now()));
            processes.check();
            if self.is_over(processes) {
                return;
            }
        }
    }
}

/// What the processes share, each by a network of its own.
#[derive(Debug)]
struct Servers {
    postgres: Postgres,
    redis: Redis,
    /// One for all to the database, one for each process to Redis.
    database: Proxy,
    networks: Vec<Proxy>,
}

impl Servers {
    fn start() -> Self {
        let postgres = Postgres::start();
        postgres.psql(SCHEMA);
        for list in List::all() {
            let (table, cells) = (list.table(), list.cells());
            let (first, end) = (cells.start, cells.end);
            postgres.psql(&format!(
                "create table {table} (id int primary key, version bigint not null);
                 insert into {table} select id, 0 from generate_series({first}, {end} - 1) as id"
            ));
        }
        let redis = Redis::start();
        let network = |_number| Proxy::to_any(Upstream::Port(redis.port()));
        Self {
            database: Proxy::to_postgres(&postgres),
            networks: (0..PROCESSES).map(network).collect(),
            postgres,
            redis,
        }
    }

    fn database_url(&self) -> String {
        self.database.through(self.postgres.tcp_url())
    }

    fn redis_url(&self, process: usize) -> String {
        let port = self.networks.get(process).map_or(0, Proxy::port);
        format!("redis://127.0.0.1:{port}")
    }

    fn heal(&self) {
        for proxy in self.networks.iter().chain([&self.database]) {
            proxy.accept();
            proxy.set(Mode::Pass);
        }
        self.redis.start_again();
        self.redis.resume();
    }
}
