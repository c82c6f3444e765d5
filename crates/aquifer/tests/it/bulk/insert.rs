use std::future::IntoFuture;

use aquifer::{ErrorKind, Session};

use super::{COLUMNS, EVERYTHING, Reports, count, values, wrong};
use crate::support;

#[tokio::test]
async fn all_types_go_in_by_one_array_per_column() {
    // Three statements, in one transaction.
    const ROWS: i32 = 70_000;
    let db = support::db().await;
    db.execute_script(EVERYTHING).await.unwrap();
    let reports = Reports::default();
    let inserted = db
        .insert_many("everything", COLUMNS, (0..ROWS).map(values))
        .on_progress(reports.report())
        .await
        .unwrap();
    assert_eq!(inserted, 70_000);
    reports.end(70_000);
    assert_eq!(wrong(&db, "everything", ROWS).await, 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn all_rows_or_none_are_inserted() {
    let db = support::db().await;
    db.execute("create table t (id bigint primary key)", ())
        .await
        .unwrap();
    for rows in [10_i32, 40_000] {
        let twice = (0..rows).map(|number| (if number == rows - 1 { 0 } else { number },));
        let error = db.insert_many("t", ["id"], twice).await.unwrap_err();
        assert_eq!(error.constraint(), Some("t_pkey"), "{error}");
        assert_eq!(count(&db, "t").await, 0);
        support::assert_whole(&db).await;
    }
    // In a transaction the rows are part of it.
    let tx = db.begin().await.unwrap();
    let all = tx.insert_many("t", ["id"], (0..40_000).map(|number| (number,)));
    assert_eq!(all.await.unwrap(), 40_000);
    tx.rollback().await.unwrap();
    assert_eq!(count(&db, "t").await, 0);
    let session = db.dedicated().await.unwrap();
    let all = session.insert_many("t", ["id"], (0..40_000).map(|number| (number,)));
    assert_eq!(all.await.unwrap(), 40_000);
    drop(session);
    assert_eq!(count(&db, "t").await, 40_000);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn rows_come_from_any_iterator_and_may_be_none() {
    let db = support::db().await;
    db.execute_script("create table t (id bigint, name text, made int default 1)")
        .await
        .unwrap();
    let rows = vec![(1, String::from("a")), (2, String::from("b"))];
    assert_eq!(db.insert_many("t", ["id", "name"], &rows).await.unwrap(), 2);
    let columns = vec![String::from("name"), String::from("id")];
    let swapped = rows.iter().map(|(id, name)| (Some(name), id));
    assert_eq!(db.insert_many("t", &columns, swapped).await.unwrap(), 2);
    let none: [(i64,); 0] = [];
    assert_eq!(db.insert_many("t", ["id"], none).await.unwrap(), 0);
    let sum: i64 = db
        .query_value("select sum(id + made)::bigint from t", ())
        .await
        .unwrap();
    assert_eq!(sum, 2 * (1 + 2) + 4);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_unnest_would_take_apart_is_refused_and_so_is_what_does_not_fit() {
    let db = support::db().await;
    db.execute_script(
        "create type pair as (a int, b int); create table t (tags text[], twins pair, id int)",
    )
    .await
    .unwrap();
    for column in ["tags", "twins"] {
        let rows = [(vec!["x"],)];
        let error = db.insert_many("t", [column], rows).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains("copy_into"), "{error}");
    }
    let error = db.insert_many("t", ["id"], [("x",)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
    assert!(error.to_string().contains("\"id\""), "{error}");
    let error = db.insert_many("t", ["id"], [(1, 2)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
    let columns: [&str; 0] = [];
    let error = db.insert_many("t", columns, [()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let injected = "t\" (id) values (1); drop table t; --";
    let error = db.insert_many(injected, ["id"], [(1,)]).await.unwrap_err();
    assert_eq!(error.sqlstate().map(|state| state.code()), Some("42P01"));
    // A column that was altered is learned anew.
    let large = 1_i64 << 40;
    db.insert_many("t", ["id"], [(1,)]).await.unwrap();
    db.execute("alter table t alter id type bigint", ())
        .await
        .unwrap();
    let error = db.insert_many("t", ["id"], [(large,)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
    assert_eq!(db.insert_many("t", ["id"], [(large,)]).await.unwrap(), 1);
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_on_many_rows_run_in_spawned_tasks_of_generic_services() {
    async fn serve<S: Session + Clone + Send + 'static>(session: S) -> i64 {
        let rows = vec![(1_i64,), (2,)];
        let inserted = session
            .insert_many("t", ["id"], rows)
            .on_progress(|_| {})
            .await;
        assert_eq!(inserted.unwrap(), 2);
        let mut rows = session.copy_into("t", ["id"]).await.unwrap();
        rows.write((3_i64,)).await.unwrap();
        rows.finish().await.unwrap();
        let mut copy = session.copy_in("copy t from stdin").await.unwrap();
        copy.send(b"4\n").await.unwrap();
        copy.finish().await.unwrap();
        let mut copy = session.copy_out("copy t to stdout").await.unwrap();
        while copy.next().await.unwrap().is_some() {}
        let mut rows = session
            .stream_as::<(i64,)>("select id from t", ())
            .await
            .unwrap();
        let mut sum = 0;
        while let Some((id,)) = rows.next().await.unwrap() {
            sum += id;
        }
        sum
    }
    let db = support::db().await;
    db.execute("create table t (id bigint)", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    assert_eq!(tokio::spawn(serve(tx.clone())).await.unwrap(), 10);
    tx.rollback().await.unwrap();
    assert_eq!(tokio::spawn(serve(db.clone())).await.unwrap(), 10);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn within_a_transaction_it_is_all_rows_or_none_too() {
    let db = support::db().await;
    db.execute_script("create table t (id int)").await.unwrap();
    let rows = || (0..40_000_i64).chain([i64::MAX]).map(|id| (id,));
    let tx = db.begin().await.unwrap();
    tx.execute("insert into t values (-1)", ()).await.unwrap();
    let error = tx.insert_many("t", ["id"], rows()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode, "{error}");
    let many = tx.insert_many("t", ["id"], rows().take(40_000));
    assert!(support::abort_at(1, many.into_future()).await.is_none());
    tx.execute("insert into t values (-2)", ()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count(&db, "t").await, 2);

    let session = db.dedicated().await.unwrap();
    session.execute("begin", ()).await.unwrap();
    session.insert_many("t", ["id"], rows()).await.unwrap_err();
    session.execute("commit", ()).await.unwrap();
    drop(session);
    assert_eq!(count(&db, "t").await, 2);
    support::assert_whole(&db).await;
}
