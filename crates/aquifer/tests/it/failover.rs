//! Promotions under load: how soon writes go on, and that nothing goes wrong meanwhile.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Resolved, Retry, Session, UnknownCommit};
use aquifer_testkit::{Client, Cluster, Rehearsal, Round, Wrote};
use tokio::time::timeout;

use crate::support;

/// What callers allow for one call.
const DEADLINE: Duration = Duration::from_secs(2);

/// How many promotions; `cargo xtask deep failover` asks for more.
fn rounds() -> usize {
    std::env::var("AQUIFER_FAILOVERS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(4)
}

/// The library under a load; it keeps what it was told of commits that nobody knows about.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) db: Db,
    /// Whether every other read may be answered by a standby.
    replicas: bool,
    unknown: Arc<Mutex<HashMap<i64, UnknownCommit>>>,
}

impl Layer {
    pub(crate) async fn connect(url: &str, change: impl FnOnce(Config) -> Config) -> Self {
        let config = change(Config::from_url(url).unwrap());
        let db = Db::connect_with(&config).await.unwrap();
        // Only its calls are in such a hurry.
        Self {
            db: db.with_query_timeout(DEADLINE),
            replicas: false,
            unknown: Arc::default(),
        }
    }

    /// Half of the reads go to standbys where there are any.
    pub(crate) fn with_replicas(self) -> Self {
        Self {
            replicas: true,
            ..self
        }
    }

    fn told(&self, id: i64, outcome: Result<u64, Error>) -> Wrote {
        let error = match outcome {
            Ok(_) => return Wrote::Done,
            // An attempt before has done it, and its answer was lost.
            Err(error) if error.kind() == ErrorKind::AlreadyDone => return Wrote::Done,
            Err(error) => error,
        };
        if error.retry() != Retry::IfIdempotent {
            return Wrote::NotDone(one_line(&error));
        }
        if let Some(commit) = error.unknown_commit() {
            self.unknown.lock().unwrap().insert(id, commit.clone());
        }
        Wrote::Unknown(one_line(&error))
    }
}

/// Short, and the same for errors that differ in their numbers only.
fn one_line(error: &Error) -> String {
    let text = format!("{:?}: {error}", error.kind());
    let short = text.chars().take(90);
    short
        .map(|letter| if letter.is_ascii_digit() { '#' } else { letter })
        .collect()
}

impl Client for Layer {
    async fn read(&self, id: i64) -> Result<i64, String> {
        let sql = "select value from lookups where id = $1";
        let value = if self.replicas && id % 2 == 0 {
            self.db.read().query_value(sql, (id,)).await
        } else {
            self.db.query_value(sql, (id,)).await
        };
        value.map_err(|error| one_line(&error))
    }

    /// A caller who drops a transaction at the deadline knows as little as one whose answer was lost.
    async fn write(&self, id: i64) -> Wrote {
        let sql = "insert into ledger (id) values ($1)";
        let work = self.db.idempotent(format!("row {id}"));
        let outcome = if id % 2 == 0 {
            work.execute(sql, (id,)).await
        } else {
            let transaction = work.with_transaction(async |tx| tx.execute(sql, (id,)).await);
            match timeout(DEADLINE, transaction).await {
                Ok(outcome) => outcome,
                Err(_elapsed) => return Wrote::Unknown("the caller's deadline".to_owned()),
            }
        };
        self.told(id, outcome)
    }

    /// Asked again and again: on a busy machine a deadline that is fit for calls may pass.
    async fn resolve(&self, id: i64) -> Option<bool> {
        let commit = self.unknown.lock().unwrap().get(&id).cloned();
        let resolved = timeout(support::PATIENCE, async {
            while let Some(commit) = &commit {
                match self.db.resolve(commit).await {
                    Ok(Resolved::Committed) => return true,
                    Ok(Resolved::RolledBack) => return false,
                    Ok(_unresolvable) => break,
                    Err(_late) => {}
                }
            }
            // Whoever has a key asks again: it is done now, if it was not before.
            while self.write(id).await != Wrote::Done {}
            true
        });
        resolved.await.ok()
    }
}

fn print(number: usize, round: &Round) {
    println!("   {:>2}. {round}", number + 1);
}

/// A service that works on the primary only: there is no connection to the standby when it takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_after_each_promotion_and_nothing_goes_wrong() {
    rehearse(|layer| layer, std::env::var_os("AQUIFER_REPORT")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_standby_notice_promotions_as_little_as_others() {
    rehearse(Layer::with_replicas, None).await;
}

/// So that the first write after a promotion waits for no login.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_nobody_reads_from_has_a_connection_ready() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(1));
    let cluster = cluster.await.unwrap();
    let db = Db::connect(&cluster.url()).await.unwrap();
    support::until("both hosts have an idle connection", || {
        db.hosts().iter().all(|host| host.pool.idle >= 1)
    })
    .await;
    support::assert_whole(&db).await;
    tokio::task::block_in_place(|| drop(cluster));
}

async fn rehearse(change: impl FnOnce(Layer) -> Layer, report: Option<OsString>) {
    let rehearsal = tokio::task::spawn_blocking(Rehearsal::start);
    let rehearsal = Arc::new(rehearsal.await.unwrap());
    let url = format!("{}?target_session_attrs=primary", rehearsal.url());
    let layer = change(Layer::connect(&url, |config| config).await);
    println!("\n   reads from standbys: {}", layer.replicas);
    let failovers = rehearsal.run(&layer, rounds(), print).await;
    for (what, complaints) in [
        ("reads", &failovers.complaints.reads),
        ("writes", &failovers.complaints.writes),
    ] {
        for (complaint, count) in complaints {
            println!("   {what}: {count} x {complaint}");
        }
    }
    println!("   {}", failovers.json());
    // Before anything is asserted: who runs this for the figures wants them in any case.
    if let Some(file) = report {
        std::fs::write(file, failovers.json()).unwrap();
    }
    support::assert_whole(&layer.db).await;
    let ledger = failovers.ledger;
    assert_eq!((ledger.lost, ledger.doubled, ledger.invented), (0, 0, 0));
    assert_eq!((ledger.unresolved, failovers.fenced_writes()), (0, 0));
}
