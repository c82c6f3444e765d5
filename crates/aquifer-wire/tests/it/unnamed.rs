//! Sessions that keep nothing prepared, as behind a pooler that lends them.

use std::sync::Arc;

use aquifer_wire::types::Params;
use aquifer_wire::{Client, Sharing};

use crate::database::{Database, run};

async fn session() -> Client {
    let mut database = Database::new();
    database.limits.statements_max = 0;
    database.connect().await
}

#[tokio::test]
async fn statements_run_batches_too_and_the_server_keeps_none() {
    let client = session().await;
    run(&client, "create table t (a bigint, b text)", &())
        .await
        .unwrap();
    for round in 0..3_i64 {
        let insert = "insert into t values ($1, $2)";
        let statements: [(&str, &(dyn Params + Sync)); 3] = [
            (insert, &(round, "one")),
            (insert, &(round, "two")),
            ("select a, b from t where a = $1 order by b", &(round,)),
        ];
        let replies = client.batch(&statements, Sharing::Own).await.unwrap();
        let rows: Vec<(i64, String)> = replies[2].decode().unwrap();
        assert_eq!(rows, [(round, "one".to_owned()), (round, "two".to_owned())]);
    }
    let kept = run(
        &client,
        "select count(*) from pg_prepared_statements where name <> ''",
        &(),
    )
    .await
    .unwrap();
    assert_eq!(kept.decode::<(i64,)>().unwrap(), [(0,)]);
}

#[tokio::test]
async fn callers_under_one_sync_get_their_own_replies_also_behind_a_failure() {
    let client = Arc::new(session().await);
    let ask = |divisor: i64, own: i64| {
        let client = Arc::clone(&client);
        async move {
            let sql = "select 100 / $1::bigint, $2::bigint";
            let reply = client.query(sql, &(divisor, own), Sharing::Shared).await?;
            reply.decode::<(i64, i64)>()
        }
    };
    ask(1, 0).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for own in 0..50 {
        let call = ask(own % 10, own);
        calls.spawn(async move { (own, call.await) });
    }
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            (own, Ok(rows)) => assert_eq!(rows, [(100 / (own % 10), own)]),
            (own, Err(error)) => {
                assert_eq!(own % 10, 0, "{error}");
                assert_eq!(error.sqlstate().map(|state| state.code()), Some("22012"));
            }
        }
    }
}

#[tokio::test]
async fn a_table_that_changed_is_read_as_it_is_now() {
    let client = session().await;
    run(&client, "create table t (a int)", &()).await.unwrap();
    run(&client, "insert into t values (1)", &()).await.unwrap();
    let before = run(&client, "select * from t", &()).await.unwrap();
    assert_eq!(before.columns().list().len(), 1);
    run(&client, "alter table t add b text default 'new'", &())
        .await
        .unwrap();
    for _ in 0..2 {
        let after = run(&client, "select * from t", &()).await.unwrap();
        assert_eq!(
            after.decode::<(i32, String)>().unwrap(),
            [(1, "new".to_owned())]
        );
    }
}
