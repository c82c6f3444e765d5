mod figures;
mod writable;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::load::{Client, Load, Meter};
use crate::postgres::Postgres;
use crate::proxy::{Ending, Mode, Proxy};
use crate::scratch::wait_until;
use writable::Writable;

pub use figures::{Failovers, Round};

/// Tasks that write, and as many that read.
const TASKS: usize = 8;

/// A client that has not written by then is not waited for any longer.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(60);

/// So many writes show that all is well before the next fault, or after one.
const SETTLED: usize = 100;

/// Failovers under load, the same for every client: a primary and a standby behind a [`Proxy`] each.
///
/// A round takes away the primary in one of the ways of [`Fault`], promotes the standby, measures the
/// time from the moment at which the new primary takes writes to the first write of the client that
/// is done, and makes the old one a standby again. Commits are synchronous, so whatever was told to
/// be done must be there at the end. A round takes some five seconds.
#[derive(Debug)]
pub struct Rehearsal {
    cluster: Cluster,
    proxies: Vec<Proxy>,
}

/// How the primary goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// All its processes are killed.
    Killed,
    /// Its network swallows everything, and it comes back as a standby.
    BlackHole,
    /// Its network swallows everything, and is healed while it still believes to be the primary; what
    /// was swallowed is lost.
    SplitBrain,
    /// As [`SplitBrain`](Self::SplitBrain), but what was swallowed arrives after all.
    LateSplitBrain,
}

impl Rehearsal {
    /// Starts the servers and makes the tables.
    #[must_use]
    pub fn start() -> Self {
        let cluster = Cluster::start(1);
        Load::prepare(cluster.primary());
        let proxies = cluster.servers().iter().map(Proxy::to_postgres).collect();
        Self { cluster, proxies }
    }

    /// Both hosts, by the proxies, for the superuser; without parameters.
    #[must_use]
    pub fn url(&self) -> String {
        self.cluster.url_at(self.proxies.iter().map(Proxy::port))
    }

    /// The URL of each host by itself, by its proxy.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let ports = self.proxies.iter().map(Proxy::port);
        ports.map(|port| self.cluster.url_at([port])).collect()
    }

    /// The servers.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Does so many rounds, the faults in turns, and tells `report` about each.
    ///
    /// # Cancel safety
    /// The round that is under way goes on without load.
    pub async fn run(
        self: &Arc<Self>,
        client: &impl Client,
        rounds: usize,
        report: fn(usize, &Round),
    ) -> Failovers {
        let load = Load::start(client, TASKS);
        let (rehearsal, meter) = (Arc::clone(self), load.meter());
        let rounds = tokio::task::spawn_blocking(move || {
            (0..rounds)
                .map(|number| {
                    // Whoever watches the servers needs a while to decide, at times longer than
                    // clients do.
                    let decided =
                        Duration::from_millis(100) * u32::try_from(number % 5).unwrap_or(0);
                    let round = rehearsal.fail_over(Fault::of(number), decided, &meter);
                    report(number, &round);
                    round
                })
                .collect()
        });
        let rounds = rounds.await.expect("no round panics");
        let meter = load.meter();
        let ledger = load.finish(client, self.cluster.primary()).await;
        let (reads, read_errors) = meter.reads();
        Failovers {
            rounds,
            ledger,
            reads,
            read_errors,
            complaints: meter.complaints(),
        }
    }

    /// One round: the standby is promoted so long after the fault. Blocks.
    pub fn fail_over(&self, fault: Fault, decided: Duration, meter: &Meter) -> Round {
        let old = self.cluster.primary();
        let [new] = self.cluster.standbys()[..] else {
            panic!("a primary and one standby")
        };
        old.set_synchronous(true);
        settle(meter, GIVEN_UP);
        let watcher = Writable::watch(new);
        let proxy = self.proxy(old);
        let struck = Instant::now();
        match fault {
            Fault::Killed => old.kill_all(),
            Fault::BlackHole | Fault::SplitBrain | Fault::LateSplitBrain => {
                proxy.set(Mode::BlackHole);
            }
        }
        thread::sleep(decided);
        let (writable, writable_since) = thread::scope(|scope| {
            let promoting = scope.spawn(|| self.cluster.promote(new));
            let writable = watcher.wait();
            let since = new.psql("select clock_timestamp()");
            promoting.join().expect("it is promoted");
            (writable, since)
        });
        let first = first_write(meter, writable);
        let mut round = Round {
            fault,
            outage: writable - struck,
            first_write: first.map(|first| first - writable),
            fenced_writes: 0,
            late_writes: 0,
        };
        if matches!(fault, Fault::SplitBrain | Fault::LateSplitBrain) {
            self.split_brain(old, fault, meter);
            for row in old.psql(&wrong_rows(&writable_since)).lines() {
                let (id, new_session) = row.split_once('|').expect("two columns");
                let id = id.parse().expect("a number");
                if new_session == "t" || meter.begun_after(id, writable) {
                    round.fenced_writes += 1;
                } else {
                    round.late_writes += 1;
                }
            }
        }
        self.cluster.rejoin(old);
        if fault == Fault::BlackHole {
            proxy.cut_all(Ending::Reset);
            proxy.set(Mode::Pass);
        }
        round
    }

    /// Lets an old primary that is still one be reached again, and lets it take writes alone.
    fn split_brain(&self, old: &Postgres, fault: Fault, meter: &Meter) {
        let proxy = self.proxy(old);
        // Commits that wait for the standby which has left: their callers are never told more than
        // that it is unknown.
        old.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
        );
        wait_until("no commit waits any more", || {
            old.psql("select count(*) from pg_stat_activity where wait_event = 'SyncRep'") == "0"
        });
        old.set_synchronous(false);
        if fault == Fault::SplitBrain {
            proxy.cut_all(Ending::Reset);
        }
        proxy.set(Mode::Pass);
        for _ in 0..3 {
            settle(meter, GIVEN_UP);
        }
    }

    /// The proxy before one of the servers.
    #[must_use]
    pub fn proxy(&self, server: &Postgres) -> &Proxy {
        let mut servers = self.cluster.servers().iter().zip(&self.proxies);
        let (_, proxy) = servers
            .find(|(candidate, _)| std::ptr::eq(*candidate, server))
            .expect("a server of the cluster");
        proxy
    }
}

impl Fault {
    /// They take turns.
    fn of(number: usize) -> Self {
        match number % 4 {
            0 => Self::Killed,
            1 => Self::SplitBrain,
            2 => Self::BlackHole,
            _ => Self::LateSplitBrain,
        }
    }
}

/// What a server has written since somebody else is the primary.
fn wrong_rows(since: &str) -> String {
    format!("select id, session > '{since}' from ledger where written_at > '{since}'")
}

/// Waits until writes are done again, or the client is given up.
fn settle(meter: &Meter, limit: Duration) {
    let (wanted, end) = (meter.done() + SETTLED, Instant::now() + limit);
    while meter.done() < wanted && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
}

fn first_write(meter: &Meter, writable: Instant) -> Option<Instant> {
    let end = Instant::now() + GIVEN_UP;
    loop {
        let first = meter.first_done_after(writable);
        if first.is_some() || Instant::now() > end {
            return first;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
