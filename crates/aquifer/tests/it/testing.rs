//! What the feature `testing` gives to the tests of services.

use std::panic::AssertUnwindSafe;

use aquifer::migrate::Migrator;
use aquifer::testing::{Recorder, Template, sandbox};
use aquifer::{Config, Db, Error, Session};
use aquifer_testkit::Postgres;

use crate::support;

fn migrator() -> Migrator {
    let files = [(
        "1_users.sql",
        "create table users (id bigint generated always as identity primary key, name text)",
    )];
    Migrator::from_files(files).unwrap()
}

async fn names(db: &Db) -> Vec<String> {
    db.query_column("select name from users order by id", ())
        .await
        .unwrap()
}

/// A service's code, which knows nothing of tests.
async fn add(db: &Db, name: &str, fails: bool) -> Result<(), Error> {
    db.with_transaction(async |tx| {
        tx.execute("insert into users (name) values ($1)", (name,))
            .await?;
        if fails {
            tx.execute("select 1 / 0", ()).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_test_gets_a_database_of_its_own_that_goes_with_it() {
    let config = Config::from_url(Postgres::shared().url()).unwrap();
    let files = migrator();
    let (one, other) = tokio::join!(
        Template::prepare(&config, &files),
        Template::prepare(&config, &files),
    );
    let (template, _same) = (one.unwrap(), other.unwrap());
    let (first, second) = (template.database().await, template.database().await);
    let (first, second) = (first.unwrap(), second.unwrap());
    let (a, b) = (
        first.connect().await.unwrap(),
        second.connect().await.unwrap(),
    );
    add(&a, "Ann", false).await.unwrap();
    assert_eq!(names(&a).await, ["Ann"]);
    assert!(names(&b).await.is_empty());
    assert!(migrator().up(&b).await.unwrap().is_empty());

    let exists = |name: &str| {
        let sql = format!("select count(*) from pg_database where datname = '{name}'");
        Postgres::shared().psql(&sql)
    };
    let name = first.name().to_owned();
    assert_eq!(exists(&name), "1");
    // The pool is still open.
    drop(first);
    assert_eq!(exists(&name), "0");

    let name = second.name().to_owned();
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _database = second;
        panic!("a test that fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(exists(&name), "0");
}

#[tokio::test]
async fn a_sandbox_leaves_nothing_and_its_transactions_are_savepoints() {
    let db = support::db().await;
    migrator().up(&db).await.unwrap();
    let seen = sandbox(&db, async || {
        add(&db, "Ann", false).await.unwrap();
        add(&db, "Bob", true).await.unwrap_err();
        add(&db.clone(), "Cid", false).await.unwrap();
        names(&db).await
    })
    .await
    .unwrap();
    assert_eq!(seen, ["Ann", "Cid"]);
    assert!(names(&db).await.is_empty());
    support::assert_whole(&db).await;

    let inner = db.clone();
    let task = tokio::spawn(async move {
        sandbox(&inner, async || {
            add(&inner, "Ann", false).await.unwrap();
            panic!("a test that fails");
        })
        .await
    });
    assert!(task.await.unwrap_err().is_panic());
    support::assert_whole(&db).await;
    assert!(names(&db).await.is_empty());
}

#[tokio::test]
async fn a_sandbox_whose_connection_is_lost_says_so() {
    let db = support::db_of(4).await;
    let lost = sandbox(&db, async || {
        let pid: i32 = db.query_value("select pg_backend_pid()", ()).await.unwrap();
        let kill = "select pg_terminate_backend($1)";
        db.detached().execute(kill, (pid,)).await.unwrap();
        db.query("select 1", ()).await.unwrap_err()
    })
    .await;
    assert_eq!(
        lost.unwrap().kind(),
        aquifer::ErrorKind::Connection,
        "the test itself has seen it"
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_recorder_counts_and_names_who_asks_once_per_row() {
    let recorder = Recorder::new();
    let config = Config::from_url(support::url()).unwrap();
    let db = Db::connect_with(&config.observer(recorder.observer()))
        .await
        .unwrap();
    migrator().up(&db).await.unwrap();
    recorder.clear();
    recorder.assert_queries(0);
    for name in ["Ann", "Bob", "Cid"] {
        add(&db, name, false).await.unwrap();
    }
    recorder.assert_no_repeats(3);
    recorder.clear();
    for id in [1_i64, 2, 3] {
        db.query("select name from users where id = $1", (id,))
            .await
            .unwrap();
    }
    let line = line!() - 4;
    recorder.assert_queries(3);
    let repeated = recorder.repeated(2);
    let [one] = repeated.as_slice() else {
        panic!("{repeated:?}")
    };
    assert_eq!((one.count, one.location.line()), (3, line));
    assert_eq!(one.sql, "select name from users where id = $1");

    let text = failure(|| recorder.assert_no_repeats(2));
    let place = format!("testing.rs:{line}:");
    assert!(text.contains(&place) && text.contains("3 times"), "{text}");
    let text = failure(|| recorder.assert_queries(1));
    assert!(text.contains("expected 1 queries, saw 3"), "{text}");
}

fn failure(assertion: impl FnOnce()) -> String {
    let caught = std::panic::catch_unwind(AssertUnwindSafe(assertion)).unwrap_err();
    caught.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_come_by_plan_and_the_layer_meets_them_as_real_ones() {
    let config = Config::from_url(Postgres::shared().url()).unwrap();
    let template = Template::prepare(&config, &migrator()).await.unwrap();
    let database = template.database().await.unwrap();
    let db = database.connect().await.unwrap();

    database.fail_writes("users", 2, "40001").await.unwrap();
    let mut attempts = 0;
    db.with_transaction(|tx| {
        attempts += 1;
        async move {
            tx.execute("insert into users (name) values ('Ann')", ())
                .await
        }
    })
    .await
    .unwrap();
    assert_eq!(attempts, 3);
    assert_eq!(names(&db).await, ["Ann"]);

    database.fail_writes("users", 1, "23505").await.unwrap();
    let error = add(&db, "Bob", false).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "23505");
    add(&db, "Bob", false).await.unwrap();
    let refused = database.fail_writes("users", 1, "4000").await.unwrap_err();
    assert_eq!(refused.kind(), aquifer::ErrorKind::Usage);

    let tx = db.begin().await.unwrap();
    tx.execute("insert into users (name) values ('Cid')", ())
        .await
        .unwrap();
    assert!(database.end_connections().await.unwrap() >= 1);
    let lost = tx.execute("select 1", ()).await.unwrap_err();
    assert_eq!(lost.kind(), aquifer::ErrorKind::Connection, "{lost:?}");
    drop(tx);
    assert_eq!(names(&db).await, ["Ann", "Bob"], "reads are made again");
}
