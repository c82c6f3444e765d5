//! A database per test, and what must hold after every test.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use aquifer::{
    Config, ConnectionLost, Db, ErrorKind, Observer, QueryFinished, Secret, Session,
    TransactionFinished,
};
use aquifer_testkit::{Postgres, Proxy};

/// Far above what anything takes that does not hang, also on a machine with too much to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A fresh database on the server that all tests of this process share.
pub(crate) fn url() -> String {
    Postgres::shared().create_database().url
}

/// What a URL says, with time for callers on a busy machine.
pub(crate) fn config(url: impl Into<Secret>) -> Config {
    patient(Config::from_url(url).unwrap())
}

/// Callers wait as long as they must: a busy machine is no reason to refuse them.
fn patient(config: Config) -> Config {
    config
        .query_timeout(2 * PATIENCE)
        .acquire_timeout(PATIENCE)
        .advanced(|advanced| advanced.queue_target(PATIENCE))
}

/// A pool on a fresh database.
pub(crate) async fn db() -> Db {
    let config = config(url());
    let db = Db::connect_with(&config).await;
    db.expect("the test server takes connections")
}

/// A pool of so many connections on a fresh database.
pub(crate) async fn db_of(connections: u32) -> Db {
    let config = config(url()).connections_max(connections);
    Db::connect_with(&config).await.unwrap()
}

/// A pool that reaches a database of its own by a proxy.
pub(crate) async fn proxied(change: impl FnOnce(Config) -> Config) -> (Proxy, Db) {
    let server = Postgres::shared();
    let database = server.create_database();
    let proxy = Proxy::to_postgres(server);
    let through = proxy.through(server.tcp_url());
    let (base, _) = through.rsplit_once('/').expect("a URL names a database");
    let config = config(format!("{base}/{}", database.name));
    let db = Db::connect_with(&change(config)).await.unwrap();
    (proxy, db)
}

/// Waits, bounded, until `condition` holds; the state it shows is asserted by the caller.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "not within {PATIENCE:?}: {what}");
}

/// Nothing is held, nobody waits, and the next caller gets its own reply.
pub(crate) async fn assert_whole(db: &Db) {
    until("all connections are back", || {
        let status = db.pool_status();
        status.in_use == 0 && status.waiting == 0
    })
    .await;
    assert!(db.holders().is_empty());
    let status = db.pool_status();
    assert!(
        status.idle + status.connecting + status.lanes <= status.connections_max,
        "{status:?}"
    );
    // One task per connection, another per lane, the one that opens them, and the one that keeps them
    // in order, and the one that collects metrics; and of several hosts one that asks each.
    let around = match db.hosts().len() {
        1 => 3,
        hosts => hosts * 3 + 1,
    };
    until("no task is left over", || {
        let status = db.pool_status();
        db.tasks_running() <= status.idle + 2 * status.lanes + status.connecting + around
    })
    .await;
    for tag in 0..3_i64 {
        for sql in [
            "select $1::bigint",
            "select $1::bigint + 0 * txid_current()",
        ] {
            let own = reply(db, sql, tag).await;
            assert_eq!(own, tag, "a reply that was meant for somebody else");
        }
    }
}

/// Asks until there is an answer: the time that a test allows its own calls may be too short for a
/// connection that has to be opened first.
async fn reply(db: &Db, sql: &'static str, tag: i64) -> i64 {
    let db = db.with_query_timeout(PATIENCE);
    let end = Instant::now() + PATIENCE;
    loop {
        match db.query_value(sql, (tag,)).await {
            Ok(own) => return own,
            Err(error) if error.kind() == ErrorKind::Acquire && Instant::now() < end => {}
            Err(error) if error.kind() == ErrorKind::Connection && Instant::now() < end => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Polls `future` at most `polls` times and then drops it; `None` when it was not done by then.
pub(crate) async fn abort_at<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The last allowed poll is over: drop it now, while it waits.
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Most polls that any one call needs; beyond, something spins.
const POLLS_MAX: usize = 200;

/// Aborts the future that `make` makes at its first poll, its second, and so on until one is done,
/// and checks the pool after each; returns how many were aborted.
pub(crate) async fn abort_at_every_poll<F: Future>(db: &Db, mut make: impl FnMut() -> F) -> usize {
    for polls in 1..POLLS_MAX {
        let done = abort_at(polls, make()).await.is_some();
        assert_whole(db).await;
        if done {
            return polls - 1;
        }
    }
    panic!("not done after {POLLS_MAX} polls");
}

/// Remembers what the layer said.
#[derive(Clone, Default)]
pub(crate) struct Recorder(pub Arc<Mutex<Vec<String>>>);

impl Recorder {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Observer for Recorder {
    fn query_finished(&self, event: &QueryFinished<'_>) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{event:?} {:?}", event.error));
    }

    fn transaction_finished(&self, event: &TransactionFinished) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// Remembers which connections were lost, and why.
#[derive(Clone, Default)]
pub(crate) struct Losses(Arc<Mutex<Vec<String>>>);

impl Losses {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Observer for Losses {
    fn connection_lost(&self, event: &ConnectionLost<'_>) {
        self.0.lock().unwrap().push(event.cause.to_owned());
    }
}

/// Asks until the answer is `wanted`: a busy machine may make a statement's first runs look slow, and
/// then it travels on a lane later than usual.
pub(crate) async fn until_value(db: &Db, sql: impl Into<String>, wanted: &str) {
    let sql = sql.into();
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        let asked = db.query_value(aquifer::AssertSafe(sql.clone()), ());
        let value: String = asked.await.unwrap();
        if value == wanted {
            return;
        }
    }
    panic!("never {wanted}: {sql}");
}
