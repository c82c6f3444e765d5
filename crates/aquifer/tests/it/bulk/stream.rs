use aquifer::{Db, ErrorKind, FromRow, Session};

use super::{EVERYTHING, Reports, count, values};
use crate::support;

async fn table() -> Db {
    let db = support::db().await;
    db.execute_script("create table t (id bigint primary key, name text)")
        .await
        .unwrap();
    db
}

#[derive(FromRow)]
struct Numbered {
    number: i64,
    name: Option<String>,
}

#[tokio::test]
async fn a_hundred_thousand_rows_come_one_after_another() {
    let db = table().await;
    let sql = "select g::int as number, case when g % 2 = 0 then 'even' end as name \
               from generate_series(1, $1::int) as g";
    let reports = Reports::default();
    let mut rows = db.stream_as::<Numbered>(sql, (100_000,)).await.unwrap();
    rows = rows.on_progress(reports.report());
    let mut expected = 0;
    while let Some(row) = rows.next().await.unwrap() {
        expected += 1;
        assert_eq!(row.number, expected);
        assert_eq!(row.name.is_some(), expected % 2 == 0);
    }
    assert_eq!(expected, 100_000);
    reports.end(100_000);
    assert!(rows.next().await.unwrap().is_none(), "it stays at its end");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn all_types_are_streamed_as_they_are_queried() {
    let db = support::db().await;
    db.execute_script(EVERYTHING).await.unwrap();
    db.insert_many("everything", super::COLUMNS, (0..300).map(values))
        .await
        .unwrap();
    let sql =
        "select id, name, amount::text, doc, raw, feeling::text, tags from everything order by id";
    type Read = (
        i64,
        Option<String>,
        Option<String>,
        Option<serde_json::Value>,
        Vec<u8>,
        String,
        Option<Vec<String>>,
    );
    let expected: Vec<Read> = db.query_as(sql, ()).await.unwrap();
    let mut rows = db.stream_as::<Read>(sql, ()).await.unwrap().fetch_rows(7);
    let mut streamed = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        streamed.push(row);
    }
    assert_eq!(streamed, expected);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn statements_of_the_same_transaction_run_in_between() {
    let db = table().await;
    let tx = db.begin().await.unwrap();
    let sql = "select g::bigint from generate_series(1, 1000) as g";
    let mut outer = tx.stream_as::<(i64,)>(sql, ()).await.unwrap().fetch_rows(3);
    // Two at once, and neither is read to its end before the other.
    let mut inner = tx.stream_as::<(i64,)>(sql, ()).await.unwrap().fetch_rows(5);
    let mut sum = 0;
    while let Some((number,)) = outer.next().await.unwrap() {
        assert_eq!(inner.next().await.unwrap(), Some((number,)));
        if number % 10 == 0 {
            sum += number;
            tx.execute("insert into t (id) values ($1)", (number,))
                .await
                .unwrap();
        }
    }
    assert!(inner.next().await.unwrap().is_none());
    let stored: i64 = tx
        .query_value("select sum(id)::bigint from t", ())
        .await
        .unwrap();
    assert_eq!(stored, sum);
    tx.commit().await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_not_read_holds_nobody_up() {
    let db = support::db_of(3).await;
    let tx = db.begin().await.unwrap();
    let large = "select repeat('x', 10000) from generate_series(1, 100000)";
    let mut unread = tx.stream(large, ()).await.unwrap();
    unread.next().await.unwrap().unwrap();
    for number in 0..20_i64 {
        let own: i64 = tx
            .query_value("select $1::bigint", (number,))
            .await
            .unwrap();
        assert_eq!(own, number);
        let own: i64 = db
            .query_value("select $1::bigint", (number,))
            .await
            .unwrap();
        assert_eq!(own, number);
    }
    drop(unread);
    let portals: i64 = tx
        .query_value("select count(*) from pg_cursors where name <> ''", ())
        .await
        .unwrap();
    assert_eq!(portals, 0, "the portal was closed");
    tx.commit().await.unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_error_in_the_midst_comes_behind_the_rows_before_it() {
    let db = table().await;
    let sql = "select 1 / (5000 - g) from generate_series(1, 10000) as g";
    for fetch in [None, Some(1), Some(1000), Some(1_000_000)] {
        let mut rows = db.stream_as::<(i32,)>(sql, ()).await.unwrap();
        if let Some(fetch) = fetch {
            rows = rows.fetch_rows(fetch);
        }
        for number in 1..5000 {
            assert!(rows.next().await.unwrap().is_some(), "{fetch:?} {number}");
        }
        let error = rows.next().await.unwrap_err();
        assert_eq!(error.sqlstate().map(|state| state.code()), Some("22012"));
        assert!(rows.next().await.unwrap().is_none(), "nothing follows");
        support::assert_whole(&db).await;
    }
    // In a transaction it is remembered as any failure is.
    let tx = db.begin().await.unwrap();
    let mut rows = tx.stream_as::<(i32,)>(sql, ()).await.unwrap();
    while let Ok(Some(_)) = rows.next().await {}
    let error = tx.commit().await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_row_that_can_not_be_read_comes_behind_those_before_it() {
    let db = table().await;
    let sql = "select nullif(g, 100) from generate_series(1, 200) as g";
    let mut rows = db.stream_as::<(i32,)>(sql, ()).await.unwrap();
    for number in 1..100 {
        assert_eq!(rows.next().await.unwrap(), Some((number,)));
    }
    let error = rows.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(rows.next().await.unwrap().is_none());
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_a_stream_writes_is_committed_at_its_end_and_rolled_back_before() {
    let db = table().await;
    let sql = "insert into t (id) select g from generate_series(1, 1000) as g returning id";
    let mut rows = db.stream_as::<(i64,)>(sql, ()).await.unwrap();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    support::assert_whole(&db).await;
    assert_eq!(count(&db, "t").await, 0);
    let mut rows = db.stream_as::<(i64,)>(sql, ()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
    assert_eq!(count(&db, "t").await, 1000);
    // A write that the text does not show.
    db.execute_script(
        "create function add(bigint) returns bigint language sql as \
         'insert into t (id) values ($1) returning id'",
    )
    .await
    .unwrap();
    let mut rows = db
        .stream_as::<(i64,)>("select add(g) from generate_series(2001, 2100) as g", ())
        .await
        .unwrap();
    while rows.next().await.unwrap().is_some() {}
    assert_eq!(count(&db, "t").await, 1100);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_stream_waits_for_a_savepoint_and_ends_with_its_transaction() {
    let db = table().await;
    let tx = db.begin().await.unwrap();
    let sql = "select g from generate_series(1, 1000) as g";
    let mut rows = tx
        .stream_as::<(i32,)>(sql, ())
        .await
        .unwrap()
        .fetch_rows(10);
    for _ in 0..64 {
        rows.next().await.unwrap().unwrap();
    }
    let savepoint = tx.begin().await.unwrap();
    let error = rows.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    savepoint.rollback().await.unwrap();
    assert_eq!(rows.next().await.unwrap(), Some((65,)));
    for _ in 0..9 {
        rows.next().await.unwrap().unwrap();
    }
    tx.commit().await.unwrap();
    let error = rows.next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
    drop(rows);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_dedicated_session_streams_in_a_transaction_of_its_own_or_in_the_open_one() {
    let db = table().await;
    let session = db.dedicated().await.unwrap();
    let sql = "insert into t (id) select g from generate_series(1, 500) as g returning id";
    let mut rows = session.stream_as::<(i64,)>(sql, ()).await.unwrap();
    rows.next().await.unwrap().unwrap();
    drop(rows);
    session.execute("select 1", ()).await.unwrap();
    assert_eq!(count(&db, "t").await, 0);
    session.execute("begin", ()).await.unwrap();
    let mut rows = session.stream_as::<(i64,)>(sql, ()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
    session.execute("rollback", ()).await.unwrap();
    assert_eq!(count(&db, "t").await, 0);
    let mut rows = session.stream_as::<(i64,)>(sql, ()).await.unwrap();
    while rows.next().await.unwrap().is_some() {}
    assert_eq!(count(&db, "t").await, 500);
    drop(session);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_stale_plan_is_healed_in_a_stream_of_its_own_transaction() {
    let db = support::db_of(1).await;
    db.execute_script("create table s (a int); insert into s values (1)")
        .await
        .unwrap();
    for columns in 1..=3 {
        let mut rows = db.stream("select * from s", ()).await.unwrap();
        let row = rows.next().await.unwrap().unwrap();
        assert_eq!(row.columns().list().len(), columns);
        while rows.next().await.unwrap().is_some() {}
        let sql = format!("alter table s add column c{columns} int");
        db.execute(aquifer::AssertSafe(sql), ()).await.unwrap();
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_a_dedicated_session_could_not_commit_is_no_end_of_its_stream() {
    let db = table().await;
    let session = db.dedicated().await.unwrap();
    let sql = "insert into t (id, name) values (-1, 'x') returning id";
    let mut stream = session.stream_as::<(i64,)>(sql, ()).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), Some((-1,)));
    session.execute("select 1 / 0", ()).await.unwrap_err();
    stream.next().await.unwrap_err();
    let kept: i64 = session
        .query_value("select count(*) from t where id = -1", ())
        .await
        .unwrap();
    assert_eq!(kept, 0);
}
