//! What belongs to a transaction runs inside it or not at all.

use aquifer::{Db, Error, ErrorKind, Isolation, Session, TransactionOptions};

use crate::support;

async fn table() -> Db {
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    db
}

async fn rows(db: &Db) -> i64 {
    db.query_value("select count(*) from t", ()).await.unwrap()
}

#[tokio::test]
async fn a_statement_that_is_overtaken_by_the_end_does_not_run_on_its_own() {
    let db = table().await;
    // A text that nobody has run yet is described first, and the end comes in between.
    let tx = db.begin().await.unwrap();
    let (write, rollback) = tokio::join!(
        tx.execute("insert into t values (1)", ()),
        tx.clone().rollback()
    );
    rollback.unwrap();
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Transaction);
    assert_eq!(
        rows(&db).await,
        0,
        "it was rolled back with its transaction"
    );
    let tx = db.begin().await.unwrap();
    let (write, commit) = tokio::join!(
        tx.execute("insert into t values (2)", ()),
        tx.clone().commit()
    );
    commit.unwrap();
    assert_eq!(write.unwrap_err().kind(), ErrorKind::Transaction);
    assert_eq!(rows(&db).await, 0, "it came too late to be committed");
    let tx = db.begin().await.unwrap();
    let batch = aquifer::Batch::new().add("insert into t values (3)", ());
    let (batch, rollback) = tokio::join!(tx.batch(batch), tx.clone().rollback());
    rollback.unwrap();
    assert_eq!(batch.unwrap_err().kind(), ErrorKind::Transaction);
    assert_eq!(rows(&db).await, 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_statement_that_is_overtaken_by_a_savepoint_does_not_run_inside_it() {
    let db = table().await;
    let tx = db.begin().await.unwrap();
    let (write, savepoint) = tokio::join!(tx.execute("insert into t values (1)", ()), tx.begin());
    let savepoint = savepoint.unwrap();
    let error = write.expect_err("the savepoint holds the transaction");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    savepoint.rollback().await.unwrap();
    tx.execute("insert into t values (1)", ()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spawned_statement_never_outlives_its_transaction() {
    let db = table().await;
    for number in 0..200_i32 {
        let tx = db.begin().await.unwrap();
        let late = tokio::spawn({
            let tx = tx.clone();
            let sql = aquifer::AssertSafe(format!("insert into t values ({number})"));
            async move { tx.execute(sql, ()).await }
        });
        tx.execute("select 1", ()).await.unwrap();
        tx.rollback().await.unwrap();
        drop(late.await.unwrap());
    }
    assert_eq!(rows(&db).await, 0, "a rolled-back write took effect");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_script_can_not_end_its_transaction() {
    let db = table().await;
    for script in [
        "commit",
        "insert into t values (1); commit; begin",
        "insert into t values (1); commit and chain",
        "rollback; begin",
        "rollback and chain",
        "end; start transaction",
    ] {
        let tx = db.begin().await.unwrap();
        tx.execute("insert into t values (0)", ()).await.unwrap();
        let error = tx
            .execute_script(aquifer::AssertSafe(script))
            .await
            .expect_err(script);
        assert!(
            matches!(error.kind(), ErrorKind::Usage | ErrorKind::Transaction),
            "{script}: {error}"
        );
        let _ended = tx.rollback().await;
        assert_eq!(rows(&db).await, 0, "{script}");
    }
    let tx = db.begin().await.unwrap();
    tx.execute_script("insert into t values (1); insert into t values (2)")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rows(&db).await, 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn copy_is_refused_in_a_transaction_and_does_not_cost_its_connection() {
    let db = table().await;
    let tx = db.begin().await.unwrap();
    for sql in ["copy t from stdin", "copy t to stdout"] {
        let error = tx.execute(sql, ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    tx.execute("insert into t values (1)", ()).await.unwrap();
    tx.commit().await.unwrap();
    let session = db.dedicated().await.unwrap();
    let error = session.execute("copy t from stdin", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    session.execute("select 1", ()).await.unwrap();
    assert_eq!(rows(&db).await, 1);
}

#[tokio::test]
async fn a_savepoint_is_taken_back_although_the_queue_is_full() {
    let config = support::config(support::url()).advanced(|advanced| advanced.requests_max(1));
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("create table t (a int)", ()).await.unwrap();
    let tx = db.begin().await.unwrap();
    // Described before, so that each is sent at its first poll.
    tx.query("select pg_sleep(0.1)", ()).await.unwrap();
    let savepoint = tx.begin().await.unwrap();
    savepoint
        .execute("insert into t values (1)", ())
        .await
        .unwrap();
    {
        // Two that nobody waits for fill the queue.
        let one = savepoint.query("select pg_sleep(0.1)", ());
        let two = savepoint.query("select pg_sleep(0.1)", ());
        let both = async { tokio::join!(one, two) };
        support::abort_at(1, both).await;
    }
    drop(savepoint);
    while tx.execute("select 1", ()).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    tx.commit().await.unwrap();
    assert_eq!(rows(&db).await, 0, "the savepoint was dropped");
}

#[tokio::test]
async fn calls_join_the_transaction_of_their_own_db_also_inside_one_of_another() {
    let (one, other) = (table().await, table().await);
    let outcome = one
        .with_transaction(async |tx| {
            tx.execute("insert into t values (1)", ()).await?;
            other
                .with_transaction(async |_| {
                    let seen: i64 = one.query_value("select count(*) from t", ()).await?;
                    assert_eq!(seen, 1, "the call is part of the outer transaction");
                    let seen: i64 = other.query_value("select count(*) from t", ()).await?;
                    assert_eq!(seen, 0);
                    one.execute("insert into t values (2)", ()).await?;
                    Ok::<_, Error>(())
                })
                .await?;
            tx.query_one::<(i32,)>("select 1 where false", ()).await
        })
        .await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(rows(&one).await, 0);
}

#[tokio::test]
async fn options_that_the_outer_transaction_does_not_have_are_refused_inside() {
    let db = table().await;
    let serializable = TransactionOptions::new().isolation(Isolation::Serializable);
    let read_only = TransactionOptions::new().read_only();
    db.with_transaction(async |_| {
        for options in [serializable, read_only] {
            let error = db.begin_with(options).await.expect_err("they can't be had");
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        }
        let inner = db
            .with_transaction_options(serializable, async |_| Ok::<_, Error>(()))
            .await;
        assert_eq!(inner.unwrap_err().kind(), ErrorKind::Usage);
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    // What the outer one has already may be asked for again.
    db.with_transaction_options(serializable.read_only(), async |_| {
        for options in [serializable, read_only, TransactionOptions::new()] {
            db.begin_with(options).await?.commit().await?;
        }
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_transaction_that_met_a_stale_plan_is_run_again() {
    let db = support::db_of(1).await;
    db.execute_script("create table s (a int); insert into s values (1)")
        .await
        .unwrap();
    for columns in 1..=3 {
        let row = db
            .with_transaction(async |tx| Ok::<_, Error>(tx.query("select * from s", ()).await?))
            .await
            .unwrap();
        assert_eq!(row[0].columns().list().len(), columns);
        let sql = format!("alter table s add column c{columns} int");
        db.execute(aquifer::AssertSafe(sql), ()).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_after_a_timeout_names_it() {
    let config = aquifer::Config::from_url(support::url())
        .unwrap()
        .query_timeout(std::time::Duration::from_millis(200));
    let db = Db::connect_with(&config).await.unwrap();
    let tx = db.begin().await.unwrap();
    tx.query("select pg_sleep(60)", ()).await.unwrap_err();
    let error = tx.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.to_string().contains("query_timeout"), "{error}");
}
