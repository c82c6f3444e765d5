//! What the feature `testing` gives to the tests of services.

use std::panic::AssertUnwindSafe;

use aquifer::migrate::Migrator;
use aquifer::testing::{Recorder, Template, assert_queries, sandbox};
use aquifer::{Batch, Config, Db, Error, Session};
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
    assert!(text.contains("expected 1 query, saw 3"), "{text}");
}

/// A handle on a database with the schema, and its recorder.
async fn recorded(recorder: Recorder) -> (Db, Recorder) {
    let config = Config::from_url(support::url()).unwrap();
    let db = Db::connect_with(&config).await.unwrap();
    migrator().up(&db).await.unwrap();
    db.close().await.unwrap();
    let config = config.observer(recorder.observer());
    (Db::connect_with(&config).await.unwrap(), recorder)
}

#[tokio::test]
async fn a_block_has_its_queries_counted_and_the_failure_says_who_asks_once_per_row() {
    let (db, recorder) = recorded(Recorder::new()).await;
    add(&db, "Ann", false).await.unwrap();
    let before = recorder.statements().len();
    let names = assert_queries!(recorder, 1, names(&db).await);
    assert_eq!(names, ["Ann"]);
    let page = async || {
        assert_queries!(recorder, ..=2, { db.from("users").paginate(1, 20).await? });
        Ok::<_, Error>(())
    };
    page().await.unwrap();
    assert_queries!(recorder, 0, ());
    assert_queries!(recorder, 2.., {
        for _ in 0..3 {
            db.from("users").first().await.unwrap();
        }
    });
    assert_eq!(recorder.statements().len(), before + 6);

    let mark = recorder.mark();
    for id in [1_i64, 2, 3] {
        db.from("users")
            .where_("id", "=", id)
            .first()
            .await
            .unwrap();
    }
    let line = line!() - 4;
    let text = failure(|| recorder.assert_queries_since(mark, 1..3));
    assert!(
        text.starts_with("expected 1 to 2 queries, saw 3:"),
        "{text}"
    );
    let asked = r#"select * from "users" where "id" = $1 limit $2"#;
    assert_eq!(text.matches(asked).count(), 3, "{text}");
    let hint = text.lines().last().unwrap();
    assert!(
        hint.starts_with("3 of them by ") && hint.contains("N+1"),
        "{text}"
    );
    assert!(hint.contains(&format!("testing.rs:{line}:")), "{text}");
    // Of different statements none is suspect.
    let text = failure(|| recorder.assert_queries_since(before, ..=1));
    assert!(
        text.contains("at most 1 queries") && text.contains("N+1"),
        "{text}"
    );
    let text = failure(|| recorder.assert_queries_since(mark + 2, 2));
    assert!(
        text.contains("expected 2 queries, saw 1") && !text.contains("N+1"),
        "{text}"
    );
}

/// The statements of a file, sorted, without their places.
fn collected(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    let mut all: Vec<_> = text
        .lines()
        .map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            let place = object["location"].as_str().unwrap();
            assert!(place.contains("tests/it/"), "{place}");
            object["sql"].as_str().unwrap().to_owned()
        })
        .collect();
    all.sort();
    all
}

/// A directory that goes with the test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("aquifer-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug, aquifer::entity::Entity)]
#[entity(table = "users")]
struct Person {
    #[entity(key, auto)]
    id: i32,
    name: String,
}

#[tokio::test]
async fn statements_of_a_repository_are_collected_behind_a_pointer_too() {
    let directory = Directory::new("collect-dyn");
    let path = directory.0.join("statements.jsonl");
    let (db, _) = recorded(Recorder::collect_into(&path).unwrap()).await;
    let people: std::sync::Arc<dyn aquifer::Repository<Person>> = std::sync::Arc::new(db.repo());
    let row = aquifer::insert!(Person { name: "canary" });
    let id = people.insert(row).await.unwrap().id;
    assert_eq!(people.get(id).await.unwrap().name, "canary");
    assert!(people.delete(id).await.unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    for start in ["insert into", "select", "delete from"] {
        let sql = format!("\"sql\":\"{start} ");
        assert!(text.contains(&sql), "{start}: {text}");
    }
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn each_distinct_statement_is_collected_and_no_value() {
    let directory = Directory::new("collect");
    // Its directories are made.
    let path = directory.0.join("deep/statements.jsonl");
    let (db, recorder) = recorded(Recorder::collect_into(&path).unwrap()).await;
    for name in ["canary-1", "canary-2"] {
        add(&db, name, false).await.unwrap();
        names(&db).await;
    }
    db.from("users")
        .where_("name", "=", "canary-3")
        .get()
        .await
        .unwrap();
    let batch = Batch::new()
        .add("update users set name = $1 where id = 1", ("canary-4",))
        .add("delete from users where name = $1", ("canary-5",));
    db.batch(batch).await.unwrap();
    db.insert_many("users", ["name"], ["canary-6"].map(|name| (name,)))
        .await
        .unwrap();
    // A test that means it, what can't be planned, and what stands on such.
    db.query("select nope from users", ()).await.unwrap_err();
    db.query("select 1 / 0", ()).await.unwrap_err();
    db.execute("set work_mem = '1MB'", ()).await.unwrap();
    db.execute_script("create temp table x (a int); insert into x values (1)")
        .await
        .unwrap();
    assert!(recorder.statements().len() > 8, "all of them are recorded");
    assert_eq!(
        collected(&path),
        [
            "delete from users where name = $1",
            "insert into \"users\" (\"name\") values ($1)",
            "insert into users (name) values ($1)",
            "select * from \"users\" where \"name\" = $1",
            "select 1 / 0",
            "select name from users order by id",
            "update users set name = $1 where id = 1",
        ]
    );
    // With the types that the server gave the parameters.
    let text = std::fs::read_to_string(&path).unwrap();
    let insert = text.lines().find(|line| line.contains("values ($1)\""));
    let insert: serde_json::Value = serde_json::from_str(insert.unwrap()).unwrap();
    assert_eq!(insert["parameters"], serde_json::json!(["text"]));
    let error = Recorder::collect_into(directory.0.join("deep")).unwrap_err();
    assert!(!error.to_string().is_empty());
}

/// What `AQUIFER_COLLECT` says is read by another process, since it is nobody's to change here.
fn test_of_another_process(name: &str, path: &std::path::Path) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env("AQUIFER_COLLECT", path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn all_handles_of_several_processes_collect_into_the_file_that_the_environment_names() {
    let directory = Directory::new("collect-all");
    let path = directory.0.join("statements.jsonl");
    let tests = [
        "testing::a_recorder_counts_and_names_who_asks_once_per_row",
        "testing::a_sandbox_leaves_nothing_and_its_transactions_are_savepoints",
    ];
    let running = tests.map(|name| test_of_another_process(name, &path));
    for test in running {
        let output = test.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains("1 passed"), "{told}");
    }
    let mut all = collected(&path);
    all.dedup();
    let expected = [
        "insert into users (name) values ($1)",
        "select name from users order by id",
        "select name from users where id = $1",
    ];
    for sql in expected {
        assert!(all.iter().any(|one| one == sql), "{sql}: {all:?}");
    }
    assert!(
        !all.iter().any(|one| one.contains("_sqlx_migrations")),
        "{all:?}"
    );
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
