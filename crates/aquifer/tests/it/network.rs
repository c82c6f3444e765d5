//! A network that cuts, stalls and slices, between the layer and a real server.

use std::time::Duration;

use aquifer::{Config, Db, Error, ErrorKind, Retry, Session};
use aquifer_testkit::{Cut, Direction, Ending, Mode, Postgres, Proxy};

use crate::support;

/// One exclusive connection, through the proxy, on a table of its own.
async fn through(proxy: &Proxy, table: &str) -> Db {
    let url = proxy.through(Postgres::shared().tcp_url());
    let config = support::config(url).connections_max(1);
    let db = Db::connect_with(&config).await.unwrap();
    let sql = format!("create table {table} (a int)");
    db.execute(aquifer::AssertSafe(sql), ()).await.unwrap();
    db
}

fn rows(table: &str) -> String {
    Postgres::shared().psql(&format!("select count(*) from {table}"))
}

#[tokio::test]
async fn a_commit_whose_answer_is_cut_is_resolved_as_committed() {
    for (number, ending) in [Ending::Close, Ending::Reset].into_iter().enumerate() {
        let proxy = Proxy::to_postgres(Postgres::shared());
        let table = format!("cut_after_commit_{number}");
        let db = through(&proxy, &table).await;
        let insert = aquifer::AssertSafe(format!("insert into {table} values (1)"));
        let tx = db.begin().await.unwrap();
        tx.execute(insert, ()).await.unwrap();
        proxy.cut(
            Cut::before(Direction::ToClient, b'C')
                .containing("COMMIT")
                .with(ending),
        );
        let outcome = tx.commit().await;
        assert_eq!(rows(&table), "1", "the server had committed");
        outcome.expect("the layer has asked the server");
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn a_closure_is_not_run_again_after_a_commit_that_lost_its_answer() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let db = through(&proxy, "closure_cut").await;
    let runs = std::sync::atomic::AtomicU32::new(0);
    let outcome = db
        .with_transaction(async |tx| {
            runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tx.execute("insert into closure_cut values (1)", ()).await?;
            proxy.cut(Cut::before(Direction::ToClient, b'C').containing("COMMIT"));
            Ok::<_, Error>(())
        })
        .await;
    outcome.expect("the layer has asked the server");
    assert_eq!(runs.into_inner(), 1);
    assert_eq!(rows("closure_cut"), "1");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_commit_that_never_reaches_the_server_is_resolved_as_rolled_back() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let db = through(&proxy, "cut_before_commit").await;
    let tx = db.begin().await.unwrap();
    tx.execute("insert into cut_before_commit values (1)", ())
        .await
        .unwrap();
    proxy.cut(Cut::before(Direction::ToServer, b'Q').containing("commit"));
    let error = tx.commit().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::Connection, Retry::Safe),
        "{error}"
    );
    assert_eq!(rows("cut_before_commit"), "0");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_is_cut_at_each_message_and_never_doubled() {
    let messages = [(b'2', "1"), (b'C', "1"), (b'Z', "1")];
    for (message, expected) in messages {
        let proxy = Proxy::to_postgres(Postgres::shared());
        let table = format!("write_cut_{}", char::from(message).to_lowercase());
        let db = through(&proxy, &table).await;
        let insert = format!("insert into {table} values ($1)");
        // Known and routed, so that the next run is one request.
        db.execute(aquifer::AssertSafe(insert.clone()), (0,))
            .await
            .unwrap();
        Postgres::shared().psql(&format!("delete from {table}"));
        proxy.cut(Cut::before(Direction::ToClient, message));
        let error = db
            .execute(aquifer::AssertSafe(insert), (1,))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unknown, "{error}");
        support::assert_whole(&db).await;
        assert_eq!(
            rows(&table),
            expected,
            "cut before {:?}",
            char::from(message)
        );
    }
}

#[tokio::test]
async fn a_read_is_cut_at_each_message_and_succeeds() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let db = Db::connect(&url).await.unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    let read = "select $1::bigint";
    let own: i64 = db.query_value(read, (0_i64,)).await.unwrap();
    assert_eq!(own, 0);
    for (round, message) in [b'2', b'D', b'C', b'Z'].into_iter().enumerate() {
        let round = i64::try_from(round).unwrap();
        proxy.cut(Cut::before(Direction::ToClient, message));
        let own: i64 = db.query_value(read, (round,)).await.unwrap();
        assert_eq!(own, round);
    }
    assert!(proxy.traffic().cuts() >= 4);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_network_that_falls_silent_costs_the_deadline_and_no_capacity() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let config = Config::from_url(url)
        .unwrap()
        .connections_max(3)
        .acquire_timeout(Duration::from_millis(300))
        .query_timeout(Duration::from_millis(600))
        .connect_timeout(Duration::from_secs(2));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    proxy.set(Mode::BlackHole);
    for _ in 0..3 {
        let error = db.query("select 1", ()).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Acquire),
            "{error}"
        );
    }
    let error = tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    drop(tx);
    proxy.set(Mode::Pass);
    let healed = tokio::time::timeout(support::PATIENCE, async {
        while db.query("select 1", ()).await.is_err() {}
    });
    assert!(healed.await.is_ok());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn single_bytes_and_jitter_change_nothing() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let config = support::config(url);
    let db = Db::connect_with(&config).await.unwrap();
    let jitter = Mode::Jitter {
        least: Duration::ZERO,
        most: Duration::from_millis(3),
    };
    for mode in [Mode::Slices(1), jitter] {
        proxy.set(mode);
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..20_i64 {
            let db = db.clone();
            calls.spawn(async move {
                let text = "x".repeat(300);
                let own: (i64, String) = db
                    .query_one("select $1::bigint, $2::text", (number, text.as_str()))
                    .await?;
                assert_eq!(own, (number, text));
                db.with_transaction(async |tx| {
                    let own: i64 = tx.query_value("select $1::bigint", (number,)).await?;
                    assert_eq!(own, number);
                    Ok::<_, Error>(())
                })
                .await
            });
        }
        for outcome in calls.join_all().await {
            outcome.unwrap();
        }
    }
    proxy.set(Mode::Pass);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_statement_that_can_not_be_cancelled_costs_its_connection() {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let url = proxy.through(Postgres::shared().tcp_url());
    let config = Config::from_url(url)
        .unwrap()
        .query_timeout(support::PATIENCE)
        .acquire_timeout(support::PATIENCE);
    let patient = Db::connect_with(&config).await.unwrap();
    // Both are open before time counts.
    drop((
        patient.begin().await.unwrap(),
        patient.begin().await.unwrap(),
    ));
    let db = patient.with_query_timeout(Duration::from_secs(1));
    let tx = db.begin().await.unwrap();
    let session = db.dedicated().await.unwrap();
    // A cancel needs a connection of its own.
    proxy.refuse();
    let sleep = "select pg_sleep(60)";
    for timed_out in [tx.query(sleep, ()).await, session.query(sleep, ()).await] {
        assert_eq!(timed_out.unwrap_err().kind(), ErrorKind::Timeout);
    }
    // What may still run there, or be cancelled late, is nobody's concern any more.
    for next in [
        tx.query("select 1", ()).await,
        session.query("select 1", ()).await,
    ] {
        assert_eq!(next.unwrap_err().kind(), ErrorKind::Connection);
    }
    tx.rollback().await.unwrap();
    drop(session);
    proxy.accept();
    let healed = tokio::time::timeout(support::PATIENCE, async {
        while db.execute("select 1", ()).await.is_err() {}
    });
    assert!(healed.await.is_ok());
    let mut runs = 0;
    let counter = std::sync::Mutex::new(&mut runs);
    let refused = db
        .with_transaction(async |tx| {
            **counter.lock().unwrap() += 1;
            tx.execute("select 1", ()).await?;
            proxy.refuse();
            tx.query(sleep, ()).await.map(drop)
        })
        .await;
    let refused: Error = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout, "{refused}");
    assert_eq!(runs, 1, "a time-out is no reason to run it again");
    proxy.accept();
    support::assert_whole(&db).await;
}
