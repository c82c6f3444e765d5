//! P28: shutdown ends within its deadline in each fault state that the other scenarios make, and
//! leaves nothing.

use std::any::Any;
use std::pin::Pin;
use std::time::Duration;

use aquifer::{
    BreakerLane, BreakerOrder, BreakerState, Config, Db, Error, ErrorKind, Mode, Pooler, Secret,
    Session, Status,
};
use aquifer_testkit::{Ending, Login, Mode as Network, PgBouncer, Postgres, Proxy, Redis};
use tokio::task::JoinSet;

use crate::support::{self, proxied, until};

/// What callers and their servers need at most on a busy machine, beside the deadline.
const MARGIN: Duration = Duration::from_secs(2);

const DEADLINE: Duration = Duration::from_secs(1);

/// A handle in a state, what is under way there, and what must live until the end.
pub(crate) struct Under {
    db: Db,
    calls: JoinSet<Result<(), Error>>,
    keep: Vec<Box<dyn Any + Send>>,
}

impl Under {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            calls: JoinSet::new(),
            keep: Vec::new(),
        }
    }

    pub(crate) fn keep(mut self, what: impl Any + Send) -> Self {
        self.keep.push(Box::new(what));
        self
    }

    /// A call that goes on, or waits.
    pub(crate) fn calls<T>(
        mut self,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Self {
        self.calls.spawn(async move { call.await.map(drop) });
        self
    }

    fn query(self, sql: &'static str) -> Self {
        let db = self.db.clone();
        self.calls(async move { db.query(sql, ()).await })
    }

    async fn in_use(self, count: usize) -> Self {
        until("they are in use", || self.db.pool_status().in_use == count).await;
        self
    }

    async fn waiting(self, count: usize) -> Self {
        until("they wait", || self.db.pool_status().waiting == count).await;
        self
    }

    /// Shuts down, and looks for what may be left.
    pub(crate) async fn end(self, state: &str) {
        let Self { db, calls, keep } = self;
        let waited = tokio::time::timeout(Duration::from_secs(30), db.shutdown(DEADLINE));
        let done = waited.await.unwrap_or_else(|_| panic!("{state}: it hangs"));
        assert!(done.elapsed <= DEADLINE + MARGIN, "{state}: {done:?}");
        assert_eq!(db.tasks_running(), 0, "{state}: tasks are left");
        let calls = tokio::time::timeout(Duration::from_secs(10), calls.join_all());
        for outcome in calls
            .await
            .unwrap_or_else(|_| panic!("{state}: a call hangs"))
        {
            if let Err(error) = outcome {
                assert_ne!(error.kind(), ErrorKind::Protocol, "{state}: {error}");
            }
        }
        drop(keep);
        let status = db.pool_status();
        assert_eq!(
            (status.in_use, status.idle, status.connecting, status.lanes),
            (0, 0, 0, 0),
            "{state}: {status:?}"
        );
        assert_eq!(status.waiting, 0, "{state}: {status:?}");
        assert!(db.holders().is_empty(), "{state}");
        let error = db.execute("select 1", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed, "{state}: {error}");
        assert_eq!(db.tasks_running(), 0, "{state}: tasks are left");
    }
}

type Made = Pin<Box<dyn Future<Output = Under> + Send>>;

macro_rules! states {
    ($($state:ident),* $(,)?) => {
        [$((stringify!($state), (|| Box::pin($state()) as Made) as fn() -> Made)),*]
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_in_time_in_each_fault_state() {
    let states = states![
        host_away,
        black_hole_under_load,
        black_hole_while_idle,
        black_hole_in_a_commit,
        slow_network,
        backend_that_stands_still,
        postmaster_that_stands_still,
        pool_exhausted,
        breaker_open,
        breaker_forced_open,
        disk_full,
        no_room_on_the_server,
        login_refused,
        table_being_altered,
        pooler_between,
        layer_paused,
        pause_that_waits,
        transactions_open,
        copies_and_streams_open,
        listener_waiting,
        listener_without_a_host,
        redis_away,
        redis_hanging,
        monitor_in_alarm,
    ];
    // One after the other, since servers and programs are started meanwhile; they end together.
    let mut made = Vec::new();
    for (name, make) in states {
        made.push((name, make().await));
    }
    let ends = made.into_iter().map(|(name, under)| under.end(name));
    ends.collect::<JoinSet<_>>().join_all().await;
}

/// A pool through a proxy.
async fn through() -> (Proxy, Db) {
    proxied(patient).await
}

/// Callers wait for longer than this test lasts.
fn patient(config: Config) -> Config {
    let config = config.acquire_timeout(Duration::from_secs(60));
    config.query_timeout(Duration::from_secs(60))
}

/// Nobody listens there any more.
fn go_away(proxy: &Proxy) {
    proxy.refuse();
    proxy.cut_all(Ending::Reset);
}

async fn host_away() -> Under {
    let (proxy, db) = through().await;
    go_away(&proxy);
    let under = Under::new(db).query("select pg_sleep(0)").waiting(1).await;
    under.keep(proxy)
}

async fn black_hole_under_load() -> Under {
    let (proxy, db) = through().await;
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    let under = Under::new(db).query("select pg_sleep(60)").in_use(2).await;
    proxy.set(Network::BlackHole);
    let asked = tx.clone();
    let under = under.calls(async move { asked.execute("select 1", ()).await });
    // Beside those that are open, one that is being opened falls silent.
    let under = under.query("select pg_sleep(61)");
    under.keep(tx).keep(proxy)
}

async fn black_hole_while_idle() -> Under {
    let (proxy, db) = through().await;
    until("the lanes are open", || db.pool_status().lanes == 2).await;
    proxy.set(Network::BlackHole);
    Under::new(db).keep(proxy)
}

async fn black_hole_in_a_commit() -> Under {
    let (proxy, db) = through().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    proxy.set(Network::BlackHole);
    // Dropped at once, so that a task carries it out.
    let polled = support::abort_at(1, tx.commit()).await;
    assert!(polled.is_none());
    Under::new(db).keep(proxy)
}

async fn slow_network() -> Under {
    let (proxy, db) = through().await;
    proxy.set(Network::Delay(Duration::from_millis(200)));
    let under = Under::new(db).query("select pg_sleep(0)");
    let under = under.query("select 1");
    under.keep(proxy)
}

async fn backend_that_stands_still() -> Under {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    Postgres::shared().pause_backend(pid.cast_unsigned());
    let asked = tx.clone();
    Under::new(db)
        .calls(async move { asked.execute("select 1", ()).await })
        .keep(Resume(pid.cast_unsigned()))
        .keep(tx)
}

/// Lets a backend go on when it is dropped.
struct Resume(u32);

impl Drop for Resume {
    fn drop(&mut self) {
        Postgres::shared().resume_backend(self.0);
    }
}

async fn postmaster_that_stands_still() -> Under {
    let server = tokio::task::block_in_place(Postgres::start);
    let db = Db::connect(server.url()).await.unwrap();
    until("the lanes are open", || db.pool_status().lanes == 2).await;
    server.pause();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    // It needs a connection more, which nobody accepts.
    let under = Under::new(db).query("select pg_sleep(0)").waiting(1).await;
    under.keep(tx).keep(Paused(server))
}

/// Lets a server go on before it is stopped.
struct Paused(Postgres);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.resume();
    }
}

async fn pool_exhausted() -> Under {
    let db = support::db_of(3).await;
    // All but the lane.
    let held = [db.begin().await.unwrap(), db.begin().await.unwrap()];
    for transaction in &held {
        transaction.execute("select 1", ()).await.unwrap();
    }
    let mut under = Under::new(db).keep(held);
    for _ in 0..50 {
        under = under.query("select pg_sleep(0.001)");
    }
    under.waiting(50).await
}

async fn breaker_open() -> Under {
    let (proxy, db) = through().await;
    go_away(&proxy);
    let under = Under::new(db).query("select pg_sleep(0)").waiting(1).await;
    until("the breaker opens", || {
        let mut breakers = under.db.breakers().into_iter();
        breakers.any(|breaker| breaker.state == BreakerState::Open)
    })
    .await;
    under.keep(proxy)
}

async fn breaker_forced_open() -> Under {
    let db = support::db().await;
    let host = db.breakers()[0].host.clone();
    for lane in [BreakerLane::Reads, BreakerLane::Writes] {
        let order = BreakerOrder::ForceOpen;
        db.set_breaker(&host, lane, order).unwrap();
    }
    db.query("select 1", ()).await.unwrap_err();
    Under::new(db)
}

async fn disk_full() -> Under {
    let db = support::db().await;
    let full = "do $$ begin raise 'no space left' using errcode = '53100'; end $$";
    while db.mode() == Mode::Normal {
        db.execute(full, ()).await.unwrap_err();
    }
    Under::new(db).query("select pg_sleep(0.1)")
}

async fn no_room_on_the_server() -> Under {
    let server = Postgres::shared();
    let database = server.create_database();
    server.psql(&format!(
        "alter database {} connection limit 3",
        database.name
    ));
    let url = server.login_url(Login::Trust);
    let (base, _) = url.rsplit_once('/').unwrap();
    let config = Config::from_url(format!("{base}/{}", database.name)).unwrap();
    let config = config.connections_max(10);
    let db = Db::connect_with(&patient(config)).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    until("the lanes are open", || db.pool_status().lanes == 2).await;
    let mut under = Under::new(db).keep(tx);
    for _ in 0..5 {
        under = under.query("select pg_sleep(0)");
    }
    under.waiting(5).await
}

async fn login_refused() -> Under {
    let url = Postgres::shared().login_url(Login::Scram);
    let password = Login::Scram.password().unwrap();
    let once = std::sync::atomic::AtomicBool::new(true);
    let config = Config::from_url(&url).unwrap().password_provider(move || {
        let right = once.swap(false, std::sync::atomic::Ordering::Relaxed);
        let given = if right { password } else { "wrong" };
        async move { Ok(Secret::from(given)) }
    });
    let db = Db::connect_with(&patient(config)).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    let under = Under::new(db).keep(tx);
    under.query("select pg_sleep(0)").waiting(1).await
}

async fn table_being_altered() -> Under {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.query("select a from t", ()).await.unwrap();
    // It waits for the reader, and whoever comes later for both.
    let under = Under::new(db).keep(tx);
    let under = under.query("alter table t add column b int").in_use(2);
    under
        .await
        .query("insert into t values (1)")
        .in_use(3)
        .await
}

async fn pooler_between() -> Under {
    let server = Postgres::shared();
    let pooler = tokio::task::block_in_place(|| PgBouncer::start(server));
    let url = pooler.url(server, &server.create_database());
    let config = Config::from_url(url).unwrap();
    let config = config.advanced(|advanced| advanced.pooler(Pooler::Transaction));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    let under = Under::new(db).query("select pg_sleep(60)").in_use(2).await;
    under.keep(tx).keep(pooler)
}

async fn layer_paused() -> Under {
    let db = support::db().await;
    db.pause(Duration::from_secs(60)).await.unwrap();
    let under = Under::new(db).query("select pg_sleep(0)");
    under.query("select 1").waiting(2).await
}

async fn pause_that_waits() -> Under {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    tx.execute("select 1", ()).await.unwrap();
    let pausing = db.clone();
    let under = Under::new(db)
        .keep(tx)
        .calls(async move { pausing.pause(Duration::from_secs(60)).await });
    until("it is paused", || under.db.pool_status().paused).await;
    under
}

async fn transactions_open() -> Under {
    let db = support::db().await;
    let (idle, failed) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    idle.execute("select 1", ()).await.unwrap();
    failed.execute("select 1/0", ()).await.unwrap_err();
    let running = db.begin().await.unwrap();
    let asked = running.clone();
    let under = Under::new(db).calls(async move { asked.query("select pg_sleep(60)", ()).await });
    under.keep((idle, failed, running))
}

async fn copies_and_streams_open() -> Under {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let many = "select repeat('x', 1000) from generate_series(1, 5000)";
    let mut into = db.copy_in("copy t from stdin").await.unwrap();
    into.send(&b"1\n".repeat(100_000)).await.unwrap();
    let out = db
        .copy_out("copy (select repeat('x', 1000) from generate_series(1, 5000)) to stdout")
        .await
        .unwrap();
    let rows = db.stream(many, ()).await.unwrap();
    Under::new(db).keep(into).keep(out).keep(rows)
}

async fn listener_waiting() -> Under {
    let db = support::db().await;
    let mut listener = db.listen(["news"]).await.unwrap();
    Under::new(db).calls(async move { listener.recv().await })
}

async fn listener_without_a_host() -> Under {
    let (proxy, db) = through().await;
    let mut listener = db.listen(["news"]).await.unwrap();
    let under = Under::new(db).calls(async move { listener.recv().await });
    go_away(&proxy);
    under.waiting(1).await.keep(proxy)
}

async fn with_redis(url: &str) -> Db {
    let config = Config::from_url(support::url()).unwrap();
    let config = config.redis_url(url);
    let config = config.redis_timeout(Duration::from_secs(60));
    Db::connect_with(&config).await.unwrap()
}

async fn redis_away() -> Under {
    // Nobody listens on this one.
    let db = with_redis("redis://127.0.0.1:1").await;
    let redis = db.redis().unwrap().clone();
    Under::new(db).calls(async move { redis.command("GET").arg("a").run::<String>().await })
}

async fn redis_hanging() -> Under {
    let server = tokio::task::block_in_place(Redis::start);
    let db = with_redis(&server.url()).await;
    let redis = db.redis().unwrap().clone();
    let asked = redis.command("SET").arg("a").arg("1").run::<()>();
    asked.await.unwrap();
    server.pause();
    let under = Under::new(db);
    let under = under.calls(async move { redis.command("GET").arg("a").run::<String>().await });
    under.keep(server)
}

async fn monitor_in_alarm() -> Under {
    let (proxy, db) = proxied(|config| {
        let config = config.advanced(|advanced| {
            let soon = Duration::from_millis(50);
            advanced.health_interval(soon).health_interval_alarm(soon)
        });
        patient(config)
    })
    .await;
    db.monitor().start();
    go_away(&proxy);
    let monitor = db.monitor();
    until("it is noticed", || {
        let health = monitor.current_health();
        health.iter().any(|service| service.status != Status::Up)
    })
    .await;
    Under::new(db).query("select pg_sleep(0)").keep(proxy)
}
