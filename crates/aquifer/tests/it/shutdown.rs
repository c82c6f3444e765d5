//! Shutdown ends within its deadline in each state.

pub(crate) mod states;

use std::time::Duration;

use aquifer::{Config, Db, ErrorKind, Session, Transaction};

use crate::support;

/// For what is cut at its end.
const DEADLINE: Duration = Duration::from_secs(2);

/// For what ends by itself, however busy the machine is.
const AMPLE: Duration = Duration::from_secs(600);

/// Shuts down, which takes far less than hanging means.
async fn shut_down(db: &Db, deadline: Duration) -> aquifer::Shutdown {
    let done = tokio::time::timeout(support::PATIENCE, db.shutdown(deadline)).await;
    let done = done.expect("it ends in time");
    // Those that were cut are still held by their users, who find them closed.
    assert!(db.pool_status().in_use <= done.aborted);
    assert_eq!(db.tasks_running(), 0);
    done
}

/// Holds up every statement that must pass it.
struct Gate(Transaction);

/// Looks like a read.
const PASS_THE_GATE: &str = "select pass_the_gate()";

impl Gate {
    /// One in the database that `config` names, held by a session of its own.
    async fn close(config: &Config) -> Self {
        let other = Db::connect_with(&config.clone().connections_max(1)).await;
        let other = other.unwrap();
        other
            .execute_script(
                "create or replace function pass_the_gate() returns int stable language plpgsql as \
                 'begin perform pg_advisory_xact_lock_shared(1); return 1; end'",
            )
            .await
            .unwrap();
        let held = other.begin().await.unwrap();
        let lock = "select pg_advisory_xact_lock(1)";
        held.execute(lock, ()).await.unwrap();
        Self(held)
    }

    async fn open(self) {
        self.0.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn idle() {
    let db = support::db().await;
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let done = shut_down(&db, AMPLE).await;
    assert_eq!((done.closed, done.aborted, done.refused), (3, 0, 0));
    let again = shut_down(&db, AMPLE).await;
    assert_eq!((again.closed, again.aborted, again.refused), (0, 0, 0));
}

#[tokio::test]
async fn with_calls_that_end_in_time() {
    let config = support::config(support::url()).connections_max(1);
    let db = Db::connect_with(&config).await.unwrap();
    let gate = Gate::close(&config).await;
    let running = tokio::spawn({
        let db = db.clone();
        async move { db.query_value::<i32>(PASS_THE_GATE, ()).await }
    });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.query("select pg_sleep(0)", ()).await }
    });
    support::until("the other waits", || db.pool_status().waiting == 1).await;
    let (done, waited) = tokio::join!(shut_down(&db, AMPLE), async {
        let waited = waiting.await.unwrap();
        gate.open().await;
        waited
    });
    assert_eq!((done.aborted, done.refused), (0, 1));
    assert_eq!(
        running.await.unwrap().unwrap(),
        1,
        "what was under way was let finish"
    );
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn with_a_statement_that_would_run_for_long() {
    let db = support::db().await;
    let running = tokio::spawn({
        let db = db.clone();
        async move { db.query("select pg_sleep(600)", ()).await }
    });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    // The rest is for a busy machine.
    let done = shut_down(&db, 3 * DEADLINE).await;
    assert_eq!(
        done.aborted, 0,
        "the cancel at 70 % of the deadline ended it"
    );
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("57014"));
}

#[tokio::test]
async fn with_a_transaction_that_nobody_ends() {
    let db = support::db().await;
    let tx = db.begin().await.unwrap();
    let done = shut_down(&db, DEADLINE).await;
    assert_eq!(done.aborted, 1);
    let error = tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    let error = tx.commit().await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connection,
        "COMMIT was never sent: {error}"
    );
}

#[tokio::test]
async fn with_a_server_that_does_not_answer() {
    let server = aquifer_testkit::Postgres::start();
    let db = Db::connect(server.url()).await.unwrap();
    let tx = db.begin().await.unwrap();
    let pid: i32 = tx.query_value("select pg_backend_pid()", ()).await.unwrap();
    server.pause_backend(pid.cast_unsigned());
    let running = tokio::spawn(async move { tx.execute("select 1", ()).await });
    support::until("it runs", || db.pool_status().in_use == 1).await;
    let done = shut_down(&db, DEADLINE).await;
    assert_eq!(done.aborted, 1);
    running.await.unwrap().unwrap_err();
    server.resume_backend(pid.cast_unsigned());
}

#[tokio::test]
async fn with_reads_on_the_lanes() {
    let db = support::db().await;
    let one: i32 = db.query_value("select 1", ()).await.unwrap();
    assert_eq!(one, 1);
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let mut reads = tokio::task::JoinSet::new();
    for number in 0..100_i64 {
        let db = db.clone();
        reads.spawn(async move {
            (
                number,
                db.query_value::<i64>("select $1::bigint", (number,)).await,
            )
        });
    }
    let done = shut_down(&db, AMPLE).await;
    assert_eq!(done.aborted, 0);
    for (number, outcome) in reads.join_all().await {
        match outcome {
            Ok(own) => assert_eq!(number, own),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Closed | ErrorKind::Connection),
                "{error:?}"
            ),
        }
    }
}

#[tokio::test]
async fn with_a_read_on_a_lane_that_is_full() {
    let config = support::config(support::url()).advanced(|advanced| {
        let advanced = advanced.requests_max(1);
        advanced.lane_timeout(Duration::from_secs(60))
    });
    let db = Db::connect_with(&config).await.unwrap().shared();
    // Once without waiting, so that it is known as a read.
    Gate::close(&config).await.open().await;
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let pass = || {
        let db = db.clone();
        async move { db.query_value::<i32>(PASS_THE_GATE, ()).await }
    };
    pass().await.unwrap();
    let gate = Gate::close(&config).await;
    let running = tokio::spawn(pass());
    support::until("it runs", || db.pool_status().lane_requests == 1).await;
    let (done, ()) = tokio::join!(shut_down(&db, AMPLE), gate.open());
    assert_eq!(done.aborted, 0);
    assert_eq!(running.await.unwrap().expect("it was let finish"), 1);
}

#[tokio::test]
async fn with_a_read_on_a_lane_that_would_run_for_long() {
    // Calls no function, so it travels on a lane; does nothing unless it is told to.
    const READ: &str =
        "select count(*) from pg_class a, pg_class b, pg_class c, pg_class d where $1::bool";
    let server = aquifer_testkit::Postgres::shared();
    let database = server.create_database();
    let config = support::config(database.url.as_str())
        .advanced(|advanced| advanced.lane_timeout(Duration::from_secs(60)));
    let db = Db::connect_with(&config).await.unwrap().shared();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    for _ in 0..2 {
        db.query(READ, (false,)).await.unwrap();
    }
    let running = tokio::spawn({
        let db = db.clone();
        async move { db.query(READ, (true,)).await }
    });
    support::until("it runs", || db.pool_status().lane_requests == 1).await;
    let done = shut_down(&db, DEADLINE).await;
    assert_eq!((done.closed, done.aborted), (2, 1));
    running.await.unwrap().unwrap_err();
    server.psql(&format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'",
        database.name
    ));
}

#[tokio::test]
async fn dropping_the_last_handle_closes_everything() {
    let admin = support::db().await;
    let db = support::db().await;
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    drop(db);
    let gone = tokio::time::timeout(support::PATIENCE, async {
        let sql = "select count(*) from pg_stat_activity where datname = $1";
        while admin
            .query_value::<i64>(sql, (database.as_str(),))
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(gone.await.is_ok(), "sessions outlive the handle");
}

#[tokio::test]
async fn with_a_caller_that_gave_up_waiting() {
    let db = support::db_of(1).await;
    let tx = db.begin().await.unwrap();
    for _ in 0..2 {
        let gave_up = support::abort_at(1, db.execute("select 1", ())).await;
        assert!(gave_up.is_none());
    }
    drop(tx);
    let done = shut_down(&db, AMPLE).await;
    assert_eq!(done.refused, 0, "nobody was there to be refused");
}
