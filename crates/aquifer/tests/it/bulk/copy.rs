use std::time::Duration;

use aquifer::{AssertSafe, Db, Error, ErrorKind, Session};

use super::{COLUMNS, EVERYTHING, Reports, count, values, wrong};
use crate::support;

async fn table() -> Db {
    let db = support::db().await;
    db.execute_script("create table t (id bigint primary key, name text)")
        .await
        .unwrap();
    db
}

#[tokio::test]
async fn a_hundred_thousand_rows_go_in_and_out_in_every_format() {
    const ROWS: i32 = 100_000;
    let db = support::db().await;
    db.execute_script(EVERYTHING).await.unwrap();
    let reports = Reports::default();
    let mut rows = db.copy_into("everything", COLUMNS).await.unwrap();
    rows = rows.on_progress(reports.report());
    for number in 0..ROWS {
        rows.write(values(number)).await.unwrap();
    }
    assert_eq!(rows.finish().await.unwrap(), 100_000);
    reports.end(100_000);
    assert_eq!(wrong(&db, "everything", ROWS).await, 0);
    for format in ["text", "csv", "binary"] {
        db.execute_script("drop table if exists again; create table again (like everything)")
            .await
            .unwrap();
        let out = format!("copy everything to stdout (format {format})");
        let back = format!("copy again from stdin (format {format})");
        let (sent, received) = (Reports::default(), Reports::default());
        let mut from = db.copy_out(AssertSafe(out)).await.unwrap();
        from = from.on_progress(received.report());
        let mut to = db.copy_in(AssertSafe(back)).await.unwrap();
        to = to.on_progress(sent.report());
        while let Some(bytes) = from.next().await.unwrap() {
            to.send(&bytes).await.unwrap();
        }
        assert!(from.next().await.unwrap().is_none(), "it stays at its end");
        assert_eq!(to.finish().await.unwrap(), 100_000);
        assert_eq!(wrong(&db, "again", ROWS).await, 0, "{format}");
        assert_eq!(sent.end(100_000).bytes, received.end(100_000).bytes);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn arrays_empty_tables_and_quoted_names() {
    let db = support::db().await;
    db.execute_script(
        "create schema \"Odd \"\"one\"; \
         create table \"Odd \"\"one\".\"T.t\" (\"A b\" int[], \"c\"\"\" text, d int default 7)",
    )
    .await
    .unwrap();
    let table = ("Odd \"one", "T.t");
    let rows = db.copy_into(table, ["A b", "c\""]).await.unwrap();
    assert_eq!(rows.finish().await.unwrap(), 0);
    let mut rows = db.copy_into(table, ["A b", "c\""]).await.unwrap();
    rows.write((vec![1_i64, 2], "x")).await.unwrap();
    rows.write((Vec::<i32>::new(), None::<String>))
        .await
        .unwrap();
    assert_eq!(rows.finish().await.unwrap(), 2);
    type Stored = (Vec<i32>, Option<String>, i32);
    let all: Vec<Stored> = db
        .query_as("select * from \"Odd \"\"one\".\"T.t\" order by 1 desc", ())
        .await
        .unwrap();
    assert_eq!(all, [(vec![1, 2], Some("x".into()), 7), (vec![], None, 7)]);
    let mut copy = db
        .copy_out("copy (select where false) to stdout")
        .await
        .unwrap();
    assert!(copy.next().await.unwrap().is_none());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_value_that_does_not_fit_leaves_its_row_out_and_names_the_column() {
    let db = table().await;
    let mut rows = db.copy_into("t", ["id", "name"]).await.unwrap();
    rows.write((1, "one")).await.unwrap();
    let error = rows.write(("two", "two")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("\"id\""), "{error}");
    let error = rows.write((1,)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    rows.write((3, None::<&str>)).await.unwrap();
    assert_eq!(rows.finish().await.unwrap(), 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_the_server_refuses_midway_is_its_error_and_inserts_nothing() {
    let db = table().await;
    let mut rows = db.copy_into("t", ["id", "name"]).await.unwrap();
    let name = "x".repeat(1000);
    let mut refused = None;
    for number in 0..100_000 {
        // The second row violates the key long before the last one is sent.
        if let Err(error) = rows.write((number / 2, &name)).await {
            refused = Some(error);
            break;
        }
    }
    let error = refused.expect("the server had broken off");
    assert_eq!(error.constraint(), Some("t_pkey"), "{error}");
    let error = rows.write((1, "one")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    rows.finish().await.unwrap_err();
    let mut copy = db.copy_in("copy t from stdin").await.unwrap();
    copy.send(b"1\tone\nno number\ttwo\n").await.unwrap();
    let error = copy.finish().await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("22P02"));
    assert_eq!(count(&db, "t").await, 0);
    support::assert_whole(&db).await;
    // In a transaction it fails as any statement does.
    let tx = db.begin().await.unwrap();
    let mut copy = tx.copy_in("copy t from stdin").await.unwrap();
    copy.send(b"no number\ttwo\n").await.unwrap();
    copy.finish().await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.to_string().contains("no number"), "{error}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_copy_has_its_transaction_to_itself_and_leaves_it_usable() {
    let db = table().await;
    db.with_transaction(async |tx| {
        let mut rows = tx.copy_into("t", ["id", "name"]).await?;
        rows.write((1, "one")).await?;
        // Refused at once rather than waited for.
        let error = tx.execute("select 1", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains("COPY"), "{error}");
        assert_eq!(rows.finish().await?, 1);
        assert_eq!(
            tx.query_value::<i64>("select count(*) from t", ()).await?,
            1
        );
        // Calls on the same `Db` join.
        let mut out = db.copy_out("copy t to stdout").await?;
        let error = tx.begin().await.expect_err("it is busy");
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert_eq!(out.next().await?.as_deref(), Some(b"1\tone\n".as_slice()));
        assert!(out.next().await?.is_none());
        let savepoint = tx.begin().await?;
        let mut rows = savepoint.copy_into("t", ["id"]).await?;
        rows.write((2,)).await?;
        drop(rows);
        drop(savepoint);
        assert_eq!(db.insert_many("t", ["id"], [(3,), (4,)]).await?, 2);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_eq!(count(&db, "t").await, 3);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_commit_in_the_midst_of_a_copy_is_refused_and_takes_all_back() {
    let db = table().await;
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t (id) values (1)", ())
        .await
        .unwrap();
    let mut rows = tx.copy_into("t", ["id"]).await.unwrap();
    rows.write((2,)).await.unwrap();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    rows.finish().await.unwrap_err();
    support::assert_whole(&db).await;
    assert_eq!(count(&db, "t").await, 0);
}

#[tokio::test]
async fn a_dedicated_session_copies_too() {
    let db = table().await;
    let session = db.dedicated().await.unwrap();
    session
        .execute("create temp table mine (id bigint)", ())
        .await
        .unwrap();
    let mut rows = session.copy_into("mine", ["id"]).await.unwrap();
    rows.write((5,)).await.unwrap();
    rows.finish().await.unwrap();
    let sum: i64 = session
        .query_value("select sum(id)::bigint from mine", ())
        .await
        .unwrap();
    assert_eq!(sum, 5);
    let copy = session.copy_out("copy t to stdout").await.unwrap();
    drop(session);
    assert_eq!(db.holders().len(), 1, "the copy keeps the connection");
    drop(copy);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn only_a_copy_with_the_client_is_taken() {
    let db = table().await;
    for sql in [
        "select 1",
        "copy t to stdout",
        "copy t from '/tmp/file'",
        "copy t from program 'cat'",
    ] {
        let error = db.copy_in(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
    }
    for sql in ["copy t from stdin", "copy t to '/tmp/file'"] {
        let error = db.copy_out(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
        let error = db.execute(sql, ()).await.unwrap_err();
        assert!(error.to_string().contains("copy_in"), "{error}");
    }
    let error = db.copy_in("copy missing from stdin").await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("42P01"));
    let error = db.copy_into("t", ["missing"]).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("42703"));
    let error = db.copy_into("t", [""]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    // A file of the server is the superuser's own business.
    db.execute_script("copy t to '/dev/null'").await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_server_up_and_nobody_else() {
    let db = support::db_of(3).await;
    let mut copy = db
        .copy_out("copy (select repeat('x', 1000) from generate_series(1, 1000000)) to stdout")
        .await
        .unwrap();
    let mut bytes = copy.next().await.unwrap().unwrap().len();
    // The server waits for this side to take more: what was sent is bounded.
    let waits = async {
        loop {
            let waiting: bool = db
                .query_value(
                    "select exists (select from pg_stat_activity where query like 'copy (select%' \
                     and datname = current_database() and wait_event = 'ClientWrite')",
                    (),
                )
                .await
                .unwrap();
            if waiting {
                break;
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, waits)
        .await
        .expect("the server is never held up");
    // It stays so while others work.
    for number in 0..50_i64 {
        let own: i64 = db
            .query_value("select $1::bigint", (number,))
            .await
            .unwrap();
        assert_eq!(own, number);
    }
    while bytes < 10_000_000 {
        bytes += copy.next().await.unwrap().unwrap().len();
    }
    drop(copy);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_sender_that_does_nothing_holds_nobody_up() {
    let db = support::db_of(3).await;
    db.execute("create table t (id bigint)", ()).await.unwrap();
    let mut rows = db.copy_into("t", ["id"]).await.unwrap();
    rows.write((1,)).await.unwrap();
    assert_eq!(db.insert_many("t", ["id"], [(2,)]).await.unwrap(), 1);
    assert_eq!(rows.finish().await.unwrap(), 1);
    assert_eq!(count(&db, "t").await, 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_copy_begins_although_the_idle_connections_were_killed() {
    let db = table().await;
    for round in 0..5 {
        let database: String = db
            .query_value("select current_database()::text", ())
            .await
            .unwrap();
        let kill = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"
        );
        aquifer_testkit::Postgres::shared().psql(&kill);
        let mut rows = db.copy_into("t", ["id"]).await.unwrap();
        rows.write((round,)).await.unwrap();
        rows.finish().await.unwrap();
    }
    assert_eq!(count(&db, "t").await, 5);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_copy_out_that_is_dropped_half_way_leaves_its_transaction_usable() {
    let db = support::db_of(3).await;
    let tx = db.begin().await.unwrap();
    let sql = "copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout";
    let mut copy = tx.copy_out(sql).await.unwrap();
    copy.next().await.unwrap().unwrap();
    drop(copy);
    assert_eq!(tx.query_value::<i32>("select 7", ()).await.unwrap(), 7);
    tx.commit().await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_waits_for_a_lock_ends_at_its_deadline_and_on_the_server_too() {
    let config = aquifer::Config::from_url(support::url())
        .unwrap()
        .query_timeout(Duration::from_millis(300));
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("create table t (id bigint)", ()).await.unwrap();
    // Known before, so that only the COPY itself waits.
    db.insert_many("t", ["id"], [(1,)]).await.unwrap();
    let holder = db.begin().await.unwrap();
    holder.execute("lock t", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    let error = tx.copy_into("t", ["id"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    let error = tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("25P02"));
    tx.rollback().await.unwrap();
    for _ in 0..2 {
        let error = db.copy_in("copy t from stdin").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let error = db.insert_many("t", ["id"], [(1,)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let error = db.stream("select * from t", ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    holder.rollback().await.unwrap();
    support::assert_whole(&db).await;
    assert_eq!(count(&db, "t").await, 1);
}
