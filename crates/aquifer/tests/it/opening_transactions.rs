//! BEGIN rides with what a transaction does first.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use aquifer::{Batch, Db, Error, ErrorKind, Isolation, Session, TransactionOptions};
use aquifer_testkit::{Direction, Postgres, Proxy, Shutdown};

use crate::support::{self, proxied};

/// How many times the server has said that it is ready: once for each round trip.
fn round_trips(proxy: &Proxy) -> u64 {
    proxy.traffic().messages(Direction::ToClient, b'Z')
}

async fn pay(db: &Db) -> Result<(), Error> {
    db.with_transaction(async |tx| {
        tx.execute("insert into t values ($1)", (1_i32,)).await?;
        tx.execute("update t set a = a + $1", (1_i32,)).await
    })
    .await
    .map(drop)
}

async fn table() -> (Proxy, Db) {
    let (proxy, db) = proxied(|config| {
        config
            .connections_max(1)
            .advanced(|advanced| advanced.lanes(0))
    })
    .await;
    db.execute_script("create table t (a int)").await.unwrap();
    (proxy, db)
}

async fn rows(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

#[tokio::test]
async fn a_closure_of_two_statements_takes_three_round_trips() {
    let (proxy, db) = table().await;
    // The second time all is described, and the session's lineage is known.
    for _ in 0..2 {
        pay(&db).await.unwrap();
    }
    let before = round_trips(&proxy);
    for _ in 0..20 {
        pay(&db).await.unwrap();
    }
    // The proxy may count the last message of the ones before after the client has seen it.
    let taken = round_trips(&proxy) - before;
    assert_eq!((taken + 10) / 20, 3, "{taken} for 20");
    assert_eq!(rows(&db).await, 22);
}

#[tokio::test]
async fn a_transaction_that_does_nothing_costs_no_round_trip() {
    let (proxy, db) = table().await;
    pay(&db).await.unwrap();
    let before = round_trips(&proxy);
    for _ in 0..20 {
        db.begin().await.unwrap().commit().await.unwrap();
        db.begin().await.unwrap().rollback().await.unwrap();
        drop(db.begin().await.unwrap());
        db.with_transaction(async |_| Ok::<_, Error>(()))
            .await
            .unwrap();
    }
    // The proxy may count the last message of the ones before after the client has seen it.
    let taken = round_trips(&proxy) - before;
    assert!(taken <= 1, "{taken}");
    assert!(db.holders().is_empty());
}

#[tokio::test]
async fn whatever_comes_first_is_part_of_the_transaction() {
    let db = support::db_of(2).await;
    db.execute_script("create table t (a int)").await.unwrap();
    let insert = "insert into t values (1)";
    for round in 0..2 {
        let tx = db.begin().await.unwrap();
        tx.execute(insert, ()).await.unwrap();
        tx.rollback().await.unwrap();
        let tx = db.begin().await.unwrap();
        let batch = Batch::new().add(insert, ()).add("select 1", ());
        assert_eq!(tx.batch(batch).await.unwrap(), [1, 1]);
        tx.rollback().await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute_script("insert into t values (2); insert into t values (3)")
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        let tx = db.begin().await.unwrap();
        let savepoint = tx.begin().await.unwrap();
        savepoint.execute(insert, ()).await.unwrap();
        savepoint.commit().await.unwrap();
        tx.rollback().await.unwrap();
        let tx = db.begin().await.unwrap();
        tx.execute("insert into nowhere values (1)", ())
            .await
            .unwrap_err();
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transaction, "{round}: {error}");
        assert_eq!(rows(&db).await, 0, "{round}");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn two_first_statements_at_once_share_the_transaction() {
    let db = support::db_of(4).await;
    db.execute_script("create table t (a int)").await.unwrap();
    for sql in ["insert into t values (1)", "insert into t values (2)"] {
        for _ in 0..2 {
            let tx = db.begin().await.unwrap();
            let (one, other) = tokio::join!(tx.execute(sql, ()), tx.execute(sql, ()));
            one.unwrap();
            other.unwrap();
            assert_eq!(rows(&db).await, 0, "nothing ran outside");
            tx.rollback().await.unwrap();
        }
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_stale_plan_of_the_first_statement_is_prepared_anew() {
    let db = support::db_of(1).await;
    db.execute_script("create table t (a int); insert into t values (1)")
        .await
        .unwrap();
    let read = async || {
        let tx = db.begin().await.unwrap();
        let rows = tx.query("select * from t for update", ()).await.unwrap();
        tx.commit().await.unwrap();
        rows[0].columns().list().len()
    };
    assert_eq!((read().await, read().await), (1, 1));
    db.execute("alter table t add b int", ()).await.unwrap();
    assert_eq!(read().await, 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_begin_that_the_server_refuses_runs_nothing() {
    let server = Postgres::start();
    server.psql("create table t (a int); insert into t values (1)");
    server.shut_down(Shutdown::Fast);
    // Without a primary it waits for one, and answers reads meanwhile.
    std::fs::write(server.data_dir().join("standby.signal"), "").unwrap();
    server.start_again();
    let recorder = support::Recorder::default();
    let config = support::config(server.url());
    let db = Db::connect_with(&config.observer(std::sync::Arc::new(recorder.clone())))
        .await
        .unwrap();
    let read = "select a from t";
    let tx = db.begin().await.unwrap();
    assert_eq!(tx.query_value::<i32>(read, ()).await.unwrap(), 1);
    tx.commit().await.unwrap();
    // A hot standby has no serializable transactions.
    let serializable = TransactionOptions::new().isolation(Isolation::Serializable);
    for sql in [read, "select a + 1 from t"] {
        let tx = db.begin_with(serializable).await.unwrap();
        let error = tx.query(sql, ()).await.unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "0A000", "{error}");
        assert!(error.to_string().contains("refused to begin"), "{error}");
        let error = tx.query(sql, ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transaction);
        let error = tx.commit().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transaction);
    }
    let told = recorder.text().matches("TransactionFinished").count();
    assert_eq!(told, 3, "each has an end");
    support::until("all connections are back", || db.pool_status().in_use == 0).await;
}

#[tokio::test]
async fn a_first_statement_moves_away_from_a_connection_that_had_ended() {
    // The connection that ended must make room for the other one.
    for connections in [1, 4] {
        moves_away(connections).await;
    }
}

async fn moves_away(connections: u32) {
    let db = support::db_of(connections).await;
    db.execute_script("create table t (a int)").await.unwrap();
    pay(&db).await.unwrap();
    let database: String = db
        .query_value("select current_database()::text", ())
        .await
        .unwrap();
    let admin = Db::connect(Postgres::shared().url()).await.unwrap();
    for round in 2..6_i64 {
        let tx = db.begin().await.unwrap();
        admin
            .query(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
                (&*database,),
            )
            .await
            .unwrap();
        if round % 2 == 0 {
            tx.execute("insert into t values ($1)", (1_i32,))
                .await
                .unwrap();
        } else {
            let savepoint = tx.begin().await.unwrap();
            savepoint
                .execute("insert into t values ($1)", (1_i32,))
                .await
                .unwrap();
            savepoint.commit().await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(rows(&db).await, round);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_first_statement_that_is_dropped_at_any_poll_leaves_one_transaction() {
    let db = support::db_of(1).await;
    db.execute_script("create table t (a int)").await.unwrap();
    let mut number = 0_i32;
    for known in [true, false] {
        for polls in 1..60 {
            let tx = db.begin().await.unwrap();
            number += 1;
            let sql = if known {
                "insert into t values (0)".to_owned()
            } else {
                format!("insert into t values (0 * {number})")
            };
            let done = {
                let mut first = pin!(tx.execute(aquifer::AssertSafe(sql), ()));
                let mut left = polls;
                poll_fn(|context| {
                    left -= 1;
                    match first.as_mut().poll(context) {
                        Poll::Ready(_) => Poll::Ready(true),
                        Poll::Pending if left == 0 => Poll::Ready(false),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await
            };
            tx.execute("insert into t values (1)", ()).await.unwrap();
            tx.rollback().await.unwrap();
            support::assert_whole(&db).await;
            assert_eq!(rows(&db).await, 0, "dropped at poll {polls}");
            if done {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_savepoint_that_is_given_up_before_it_was_sent_harms_nothing() {
    let db = support::db_of(4).await;
    db.execute_script("create table t (a int)").await.unwrap();
    pay(&db).await.unwrap();
    let waits = "select count(*) from pg_stat_activity \
         where wait_event_type = 'Lock' and datname = current_database()";
    let blocker = db.begin().await.unwrap();
    blocker.execute("lock table t", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    let first = tx.execute("insert into t values ($1)", (1_i32,));
    let (inserted, ()) = tokio::join!(first, async {
        while blocker.query_value::<i64>(waits, ()).await.unwrap() == 0 {}
        // The one who sends BEGIN is not done: this one waits, and goes.
        assert!(support::abort_at(1, tx.begin()).await.is_none());
        blocker.rollback().await.unwrap();
    });
    assert_eq!(inserted.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(rows(&db).await, 2);
    support::assert_whole(&db).await;
}
