//! What failed in the TypeScript ancestor for plain queries and transactions, one test each.

use std::sync::Arc;

use aquifer::{Db, Error, ErrorKind, Session};

use crate::support::{self, Recorder};

async fn users() -> Db {
    let db = support::db().await;
    db.execute_script(
        "create table users (id bigint generated always as identity primary key, name text not null, \
         email text unique, active boolean not null default true, score double precision)",
    )
    .await
    .unwrap();
    db
}

#[tokio::test]
async fn a_query_outside_of_a_transaction_returns_its_rows() {
    let db = users().await;
    db.execute("insert into users (name) values ($1)", ("John",))
        .await
        .unwrap();
    let rows = db
        .query("select id, name from users where active = $1", (true,))
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<String>("name").unwrap(), "John");
}

#[tokio::test]
async fn an_update_with_parameters_in_set_and_where_changes_that_row() {
    let db = users().await;
    let id: i64 = db
        .query_value(
            "insert into users (name) values ($1) returning id",
            ("John",),
        )
        .await
        .unwrap();
    db.execute("insert into users (name) values ($1)", ("Jane",))
        .await
        .unwrap();
    let changed = db
        .execute("update users set name = $1 where id = $2", ("John Doe", id))
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let names: Vec<String> = db
        .query_column("select name from users order by id", ())
        .await
        .unwrap();
    assert_eq!(names, ["John Doe", "Jane"]);
}

#[tokio::test]
async fn the_same_value_may_be_given_twice() {
    let db = users().await;
    let sql = "select $1::bigint = $2::bigint and $3 = $4::text";
    let same: bool = db.query_value(sql, (7_i64, 7_i64, "a", "a")).await.unwrap();
    assert!(same);
}

#[tokio::test]
async fn the_text_null_and_not_a_number_are_values_like_others() {
    let db = users().await;
    db.execute(
        "insert into users (name, score) values ($1, $2)",
        ("NULL", f64::NAN),
    )
    .await
    .unwrap();
    let found: Vec<String> = db
        .query_column("select name from users where name = $1", ("NULL",))
        .await
        .unwrap();
    assert_eq!(found, ["NULL"]);
    let found: i64 = db
        .query_value("select count(*) from users where score = $1", (f64::NAN,))
        .await
        .unwrap();
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_value_can_not_bring_a_second_statement() {
    let db = users().await;
    let evil = "1; drop table users";
    let error = db
        .query("select * from users limit $1", (evil,))
        .await
        .expect_err("text is no limit");
    assert_eq!(error.kind(), ErrorKind::Encode);
    let stored: String = db
        .query_value(
            "insert into users (name) values ($1) returning name",
            (evil,),
        )
        .await
        .unwrap();
    assert_eq!(stored, evil);
    // Nor can the text of a statement.
    let error = db
        .query("select 1; drop table users", ())
        .await
        .expect_err("two statements");
    assert_eq!(error.kind(), ErrorKind::Database);
    let left: i64 = db
        .query_value("select count(*) from users", ())
        .await
        .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn callers_at_once_have_a_transaction_each() {
    let db = users().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20_i64 {
        let db = db.clone();
        tasks.spawn(async move {
            db.with_transaction(async |tx| {
                tx.execute(
                    "insert into users (name) values ($1)",
                    (format!("user {number}"),),
                )
                .await?;
                if number % 2 == 0 {
                    return Err(tx
                        .query_one::<(i64,)>("select 1 where false", ())
                        .await
                        .unwrap_err());
                }
                Ok(())
            })
            .await
        });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        10
    );
    let left: i64 = db
        .query_value("select count(*) from users", ())
        .await
        .unwrap();
    assert_eq!(left, 10, "only the odd ones were committed");
}

#[tokio::test]
async fn a_failed_statement_is_not_retried_inside_its_aborted_transaction() {
    let db = users().await;
    let recorder = Recorder::default();
    let outcome = db
        .with_transaction(async |tx| {
            tx.execute("insert into users (name, email) values ('a', 'same')", ())
                .await?;
            let error = tx
                .execute("insert into users (name, email) values ('b', 'same')", ())
                .await
                .expect_err("the address is taken");
            assert_eq!(error.constraint(), Some("users_email_key"));
            // PostgreSQL takes nothing more in this transaction, and says so.
            let error = tx
                .execute("select 1", ())
                .await
                .expect_err("the transaction has failed");
            assert_eq!(error.sqlstate().unwrap().code(), "25P02");
            Ok::<_, Error>(())
        })
        .await;
    let error = outcome.expect_err("COMMIT of a failed transaction is an error");
    assert_eq!(error.kind(), ErrorKind::Transaction);
    assert!(error.to_string().contains("23505"), "{error}");
    let left: i64 = db
        .query_value("select count(*) from users", ())
        .await
        .unwrap();
    assert_eq!(left, 0);
    drop(recorder);
}

#[tokio::test]
async fn the_health_check_asks_the_database() {
    let server = aquifer_testkit::Postgres::start();
    let config = support::config(server.url());
    let manager = aquifer::DatabaseManager::new(config);
    manager.initialize().await.unwrap();
    assert_eq!(manager.health().await[0].status, aquifer::Status::Up);
    server.shut_down(aquifer_testkit::Shutdown::Immediate);
    let health = manager.health().await;
    assert_eq!(health[0].status, aquifer::Status::Down, "{health:?}");
    assert!(health[0].cause.is_some());
}

#[tokio::test]
async fn parameters_never_reach_events_or_errors() {
    let recorder = Recorder::default();
    let config = support::config(support::url()).observer(Arc::new(recorder.clone()));
    let db = Db::connect_with(&config).await.unwrap();
    let canary = "canary-4711";
    let errors = [
        db.query("select $1::text, 1/0", (canary,))
            .await
            .unwrap_err(),
        db.query("select $1::int", (canary,)).await.unwrap_err(),
        db.query("select $1::text, $2::text", (canary,))
            .await
            .unwrap_err(),
        db.query_value::<i64>("select $1::text", (canary,))
            .await
            .unwrap_err(),
        db.query("select no_such_column from (select $1::text) t", (canary,))
            .await
            .unwrap_err(),
    ];
    for error in &errors {
        let mut text = format!("{error} {error:?}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            text.push_str(&format!("{cause} {cause:?}"));
            source = cause.source();
        }
        assert!(!text.contains(canary), "{text}");
    }
    let said = recorder.text();
    assert!(
        said.contains("select $1::text, 1/0"),
        "statements are told: {said}"
    );
    assert!(!said.contains(canary), "{said}");
}
