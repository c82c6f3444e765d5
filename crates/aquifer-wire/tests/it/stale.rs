//! Schemas that change under statements that are prepared and described already.

use aquifer_macros::{Decode, Encode};
use aquifer_wire::types::Params;
use aquifer_wire::{Client, Error, Kind, Reply, Sharing, TransactionStatus};

use crate::database::{Database, row, run, session};

/// A session that has prepared the statement, and one that knows only its description.
async fn two(script: &str, sql: &str, params: &(dyn Params + Sync)) -> [Client; 2] {
    let database = Database::new();
    let prepared = database.connect().await;
    prepared.script(script).await.unwrap();
    run(&prepared, sql, params).await.unwrap();
    [prepared, database.connect().await]
}

async fn value(client: &Client, sql: &str) -> i64 {
    row(client, sql, &()).await.get(0).unwrap()
}

#[tokio::test]
async fn a_result_that_has_other_columns_by_now() {
    let sql = "select * from t";
    let changes = [
        ("alter table t add b text default 'new'", "new"),
        (
            "alter table t drop b; alter table t alter a type text using 'text'",
            "text",
        ),
        (
            "alter table t rename a to b; alter table t add a text default 'first'",
            "first",
        ),
        (
            "drop table t; create table t (x int, b text); insert into t values (1, 'again')",
            "again",
        ),
    ];
    let sessions = two("create table t (a int); insert into t values (1)", sql, &()).await;
    for (change, expected) in changes {
        sessions[0].script(change).await.unwrap();
        for client in &sessions {
            for sharing in [Sharing::Own, Sharing::Shared] {
                let reply = client.query(sql, &(), sharing).await.unwrap();
                let row = reply.rows().next().unwrap();
                let last: String = row.get(row.columns().list().len() - 1).unwrap();
                assert_eq!(last, expected, "{change}");
            }
        }
    }
}

#[tokio::test]
async fn a_description_that_somebody_still_has_when_others_have_dropped_it() {
    let sql = "update t set a = a returning *";
    let [prepared, other] = two("create table t (a int); insert into t values (1)", sql, &()).await;
    let old = prepared.statement(sql, Sharing::Own).await.unwrap();
    prepared
        .script("alter table t add b text default 'new'")
        .await
        .unwrap();
    for sharing in [Sharing::Own, Sharing::Own, Sharing::Shared] {
        // The first run prepares it here, the next ones know it as prepared.
        let reply = other.run(&old, &(), sharing).await.unwrap();
        assert_eq!(
            reply.decode::<(i32, String)>().unwrap(),
            [(1, "new".to_owned())]
        );
    }
    assert!(other.ended().is_none());
}

#[tokio::test]
async fn a_parameter_that_has_another_type_by_now() {
    let sql = "select count(*) from t where a = $1";
    let sessions = two(
        "create table t (a int); insert into t values (7)",
        sql,
        &(7,),
    )
    .await;
    let found = async |reply: Result<Reply, Error>| reply.unwrap().decode_column::<i64>().unwrap();
    for client in &sessions {
        assert_eq!(found(run(client, sql, &(7,)).await).await, [1]);
    }
    sessions[0]
        .script("alter table t alter a type text")
        .await
        .unwrap();
    // One finds out by what the server says, one before it sends anything.
    let error = run(&sessions[0], sql, &(7,)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Encode, "{error}");
    assert!(error.to_string().contains("text"), "{error}");
    for client in &sessions {
        assert_eq!(found(run(client, sql, &("7",)).await).await, [1]);
    }
}

/// The most usual change of all: no plan fails, but the values no longer fit the old description.
#[tokio::test]
async fn a_column_that_was_widened_takes_wide_values_at_once() {
    let sql = "insert into t values ($1)";
    let sessions = two("create table t (a int)", sql, &(7,)).await;
    run(&sessions[1], sql, &(8_i64,)).await.unwrap();
    let error = run(&sessions[0], sql, &(5_000_000_000_i64,))
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Encode, false));
    sessions[1]
        .script("alter table t alter a type bigint")
        .await
        .unwrap();
    for client in &sessions {
        run(client, sql, &(5_000_000_000_i64,)).await.unwrap();
        client
            .batch(&[(sql, &(6_000_000_000_i64,))], Sharing::Own)
            .await
            .unwrap();
    }
    assert_eq!(
        value(&sessions[0], "select count(*) from t where a > 4e9").await,
        4
    );
}

#[tokio::test]
async fn a_value_that_does_not_fit_costs_no_statement_on_the_server() {
    let client = session().await;
    let sql = "select $1::int2";
    for _ in 0..20 {
        let error = run(&client, sql, &(70_000,)).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Encode, false));
    }
    run(&client, sql, &(7,)).await.unwrap();
    let prepared = value(&client, "select count(*) from pg_prepared_statements").await;
    assert!(
        prepared <= 3,
        "{prepared} statements are left on the server"
    );
}

#[tokio::test]
async fn a_type_that_was_dropped_and_made_again() {
    let sql = "select $1::mood, array[$1]::mood[]";
    let sessions = two("create type mood as enum ('sad')", sql, &("sad",)).await;
    for client in &sessions {
        run(client, sql, &("sad",)).await.unwrap();
    }
    let again = "drop type mood; create type mood as enum ('happy', 'sad')";
    sessions[1].script(again).await.unwrap();
    for client in &sessions {
        let row = row(client, sql, &("happy",)).await;
        assert_eq!(row.get::<String>(0).unwrap(), "happy");
        assert_eq!(row.get::<Vec<String>>(1).unwrap(), ["happy"]);
    }
}

#[tokio::test]
async fn a_function_that_takes_something_else() {
    let sql = "select f($1)::text";
    let one = "create function f(int) returns int language sql as 'select $1'";
    let sessions = two(one, sql, &(1,)).await;
    run(&sessions[1], sql, &(1,)).await.unwrap();
    let other = "drop function f; create function f(text) returns text language sql as 'select $1'";
    sessions[0].script(other).await.unwrap();
    for client in &sessions {
        let row = row(client, sql, &("text",)).await;
        assert_eq!(row.get::<String>(0).unwrap(), "text");
    }
}

#[tokio::test]
async fn another_search_path() {
    let sql = "select a from t where a = $1";
    let script = "create schema one; create table one.t (a int); insert into one.t values (1);
                  create schema two; create table two.t (a text); insert into two.t values ('2');
                  set search_path to one";
    let [client, _] = two(script, sql, &(1,)).await;
    client.script("set search_path to two").await.unwrap();
    let found = row(&client, sql, &("2",)).await;
    assert_eq!(found.get::<String>(0).unwrap(), "2");
    client.script("set search_path to one").await.unwrap();
    let found = row(&client, sql, &(1,)).await;
    assert_eq!(found.get::<i32>(0).unwrap(), 1);
}

#[tokio::test]
async fn statements_that_somebody_else_has_deallocated() {
    let client = session().await;
    for _ in 0..3 {
        assert_eq!(value(&client, "select 1::int8").await, 1);
        let replies = client.batch(
            &[("select 1::int8", &()), ("select 2::int8", &())],
            Sharing::Own,
        );
        assert_eq!(
            replies.await.unwrap()[1].decode_column::<i64>().unwrap(),
            [2]
        );
        client.script("deallocate all").await.unwrap();
    }
}

#[tokio::test]
async fn in_a_transaction_the_error_is_told_and_the_next_attempt_succeeds() {
    let sql = "insert into t values ($1)";
    let sessions = two("create table t (a int)", sql, &(7,)).await;
    for client in &sessions {
        run(client, sql, &(7,)).await.unwrap();
    }
    let change = "alter table t alter a type date using '2000-01-01'";
    sessions[0].script(change).await.unwrap();
    sessions[0].control("begin").await.unwrap();
    let error = run(&sessions[0], sql, &(7,)).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "42804", "{error}");
    assert_eq!(sessions[0].status(), TransactionStatus::Failed);
    sessions[0].control("rollback").await.unwrap();
    for client in &sessions {
        client.control("begin").await.unwrap();
        run(client, sql, &("2024-02-29",)).await.unwrap();
        client.control("commit").await.unwrap();
    }
    assert_eq!(
        value(
            &sessions[0],
            "select count(*) from t where a > '2024-01-01'"
        )
        .await,
        2
    );
}

#[tokio::test]
async fn a_batch_is_run_again_as_a_whole_and_takes_effect_once() {
    let sql = "select * from t";
    let sessions = two("create table t (a int); create table log (n int)", sql, &()).await;
    let insert = "insert into log values ($1)";
    for client in &sessions {
        client
            .batch(&[(insert, &(1,)), (sql, &())], Sharing::Own)
            .await
            .unwrap();
    }
    sessions[0]
        .script("alter table t add b int; truncate log")
        .await
        .unwrap();
    for client in &sessions {
        let replies = client
            .batch(&[(insert, &(1,)), (sql, &())], Sharing::Own)
            .await
            .unwrap();
        assert_eq!(replies[1].columns().list().len(), 2);
    }
    assert_eq!(value(&sessions[0], "select count(*) from log").await, 2);
}

/// What the COMMIT within has made last must not be done again.
#[tokio::test]
async fn a_batch_that_has_committed_is_not_run_again() {
    let sql = "select * from t";
    let [client, _] = two("create table t (a int); create table log (n int)", sql, &()).await;
    client.script("alter table t add b int").await.unwrap();
    let batch: [(&str, &(dyn Params + Sync)); 4] = [
        ("begin", &()),
        ("insert into log values (1)", &()),
        ("commit", &()),
        (sql, &()),
    ];
    let error = client.batch(&batch, Sharing::Own).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "0A000", "{error}");
    assert_eq!(value(&client, "select count(*) from log").await, 1);
}

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire")]
struct Place {
    street: String,
}

#[derive(Debug, PartialEq, Encode, Decode)]
#[aquifer(crate = "aquifer_wire")]
struct PlaceWithNumber {
    street: String,
    number: i64,
}

#[tokio::test]
async fn a_composite_type_that_has_another_field() {
    let sql = "select $1::place, array[$1]::place[]";
    let place = || Place { street: "A".into() };
    let sessions = two("create type place as (street text)", sql, &(place(),)).await;
    for client in &sessions {
        row(client, sql, &(place(),)).await.get::<Place>(0).unwrap();
    }
    sessions[0]
        .script("alter type place add attribute number int8")
        .await
        .unwrap();
    let numbered = PlaceWithNumber {
        street: "A".into(),
        number: 1,
    };
    for client in &sessions {
        let row = row(client, sql, &(&numbered,)).await;
        assert_eq!(row.get::<PlaceWithNumber>(0).unwrap(), numbered);
        assert_eq!(row.get::<Vec<PlaceWithNumber>>(1).unwrap()[0], numbered);
    }
}

#[tokio::test]
async fn a_result_of_a_composite_type_that_was_altered_is_read_at_the_second_attempt() {
    let sql = "select a from t";
    let script = "create type place as (street text); create table t (a place);
                  insert into t values (row('A'))";
    let sessions = two(script, sql, &()).await;
    for client in &sessions {
        assert_eq!(
            row(client, sql, &()).await.get::<Place>(0).unwrap().street,
            "A"
        );
    }
    sessions[0]
        .script("alter type place add attribute number int8 cascade")
        .await
        .unwrap();
    sessions[0]
        .script("update t set a.number = 5")
        .await
        .unwrap();
    let read = async |client: &Client| row(client, sql, &()).await.get::<PlaceWithNumber>("a");
    let error = read(&sessions[0]).await.unwrap_err();
    assert!(error.to_string().contains("altered"), "{error}");
    // The one description was that of both.
    for client in &sessions {
        assert_eq!(read(client).await.unwrap().number, 5);
        let row = row(client, "select array_agg(a) from t", &()).await;
        assert_eq!(row.get::<Vec<PlaceWithNumber>>(0).unwrap()[0].number, 5);
    }
}

/// A session that still knows `a` as an integer, where it is a number with a fraction by now.
async fn with_an_old_description(sql: &str) -> Client {
    let table = "create table t (a int); insert into t values (1)";
    let [prepared, other] = two(table, sql, &()).await;
    let change = "alter table t alter a type float4";
    prepared.script(change).await.unwrap();
    other
}

#[tokio::test]
async fn whoever_comes_before_a_changed_description_is_forgotten_gets_the_new_columns_too() {
    for sharing in [Sharing::Shared, Sharing::Own] {
        let sql = "select a from t";
        let client = with_an_old_description(sql).await;
        let query = || client.query(sql, &(), sharing);
        let (first, second, third) = tokio::join!(query(), query(), query());
        for reply in [first, second, third] {
            let row = reply.unwrap().rows().next().unwrap();
            assert_eq!(row.get::<f32>(0).unwrap(), 1.0, "{sharing:?}");
        }
    }
}

#[tokio::test]
async fn a_changed_description_is_seen_although_the_first_to_ask_has_gone_or_failed() {
    let sql = "select a from t";
    let client = with_an_old_description(sql).await;
    let mut gone = Box::pin(client.query(sql, &(), Sharing::Own));
    std::future::poll_fn(|context| {
        assert!(gone.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(gone);
    assert_eq!(row(&client, sql, &()).await.get::<f32>(0).unwrap(), 1.0);

    let sql = "select a from t where 1 / $1 > 0";
    let table = "create table t (a int); insert into t values (1)";
    let [prepared, client] = two(table, sql, &(1_i32,)).await;
    let change = "alter table t alter a type float4";
    prepared.script(change).await.unwrap();
    run(&client, sql, &(0_i32,)).await.unwrap_err();
    let read = row(&client, sql, &(1_i32,)).await;
    assert_eq!(read.get::<f32>(0).unwrap(), 1.0);
}
