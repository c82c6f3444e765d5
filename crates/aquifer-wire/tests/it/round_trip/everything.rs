//! All types that there are: what has no form of its own here is handed out as its bytes.

use aquifer_wire::types::Raw;

use super::Trip;
use crate::database::{row, run, session};

/// Types of tables and views of the server itself, and all others, if values of them can be sent.
const TYPES: &str = "
    select format_type(t.oid, null) from pg_type t
    where t.typtype in ('b', 'c', 'd', 'e', 'm', 'r') and t.typsend <> 0
    -- Of these the server sends no value, or none that it takes back.
      and format_type(t.oid, null) not like 'pg_toast%'
    order by 1";

#[tokio::test]
async fn null_of_every_type() {
    let client = session().await;
    let types: Vec<String> = run(&client, TYPES, &())
        .await
        .unwrap()
        .decode_column()
        .unwrap();
    assert!(types.len() > 300, "{} types", types.len());
    for ty in types {
        let row = match run(
            &client,
            &format!("select null::{ty}, 5, $1::{ty}"),
            &(None::<i32>,),
        )
        .await
        {
            Ok(reply) => reply.rows().next().unwrap(),
            Err(error) => {
                // An element, or a field, that has no binary form.
                assert_eq!(error.sqlstate().unwrap().code(), "42883", "{ty}: {error}");
                continue;
            }
        };
        assert!(row.get::<Raw>(0).unwrap().is_null(), "{ty}");
        assert!(row.get::<Option<String>>(0).unwrap().is_none(), "{ty}");
        assert_eq!(row.get::<i32>(1).unwrap(), 5);
    }
}

#[tokio::test]
async fn values_without_a_rust_type_are_their_bytes() {
    let client = session().await;
    for value in [
        "'a fat cat'::tsvector",
        "'fat & cat'::tsquery",
        "'(0,1)'::tid",
        "'10:20:10,14'::pg_snapshot",
        "'1'::xid",
        "'{1,2}'::int4[]",
        "row(1, 2)",
        "'(1,2)'::point",
        "null::tsvector",
        "'{}'::jsonb",
        "(select a from pg_am a where amname = 'heap')",
        "'{\"(0,1)\"}'::tid[]",
    ] {
        let row = row(&client, &format!("select {value}, 'next'"), &()).await;
        let raw: Raw = row.get(0).unwrap();
        assert_eq!(raw.is_null(), value.starts_with("null"), "{value}");
        assert_eq!(row.get::<&str>(1).unwrap(), "next");
        let error = row.get::<bool>(0).unwrap_err().to_string();
        assert!(error.contains("bool"), "{error}");
    }
    let snapshot: Raw = row(&client, "select '10:20:10,14'::pg_snapshot", &())
        .await
        .get(0)
        .unwrap();
    Trip::of(&client, "pg_snapshot").run(&[snapshot]).await;
    let vector: Raw = row(&client, "select 'a fat cat'::tsvector", &())
        .await
        .get(0)
        .unwrap();
    Trip::of(&client, "tsvector").run(&[vector]).await;
}

#[tokio::test]
async fn nothing_at_all() {
    let client = session().await;
    // void, an unknown literal, no columns, no rows, no statement.
    let row = row(&client, "select pg_sleep(0), 'text', null", &()).await;
    assert_eq!(row.get::<Raw>(0).unwrap().bytes(), Some(b"".as_slice()));
    assert_eq!(row.get::<&str>(1).unwrap(), "text");
    assert!(row.get::<Option<&str>>(2).unwrap().is_none());
    let reply = run(&client, "select", &()).await.unwrap();
    assert_eq!((reply.len(), reply.columns().list().len()), (1, 0));
    assert_eq!(reply.rows().next().unwrap().columns().list().len(), 0);
    let reply = run(&client, "select 1 where false", &()).await.unwrap();
    assert!(reply.is_empty() && reply.columns().list().len() == 1);
    for sql in ["", " ", "-- nothing", "/**/"] {
        let reply = run(&client, sql, &()).await.unwrap();
        assert!(reply.is_empty() && reply.tag().is_empty() && reply.affected() == 0);
    }
    assert!(client.script("").await.unwrap().is_empty());
}

#[tokio::test]
async fn as_many_columns_as_there_can_be() {
    let client = session().await;
    let list: Vec<String> = (0..1_600)
        .map(|number| format!("{number} as c{number}"))
        .collect();
    let row = row(&client, &format!("select {}", list.join(", ")), &()).await;
    assert_eq!(row.get::<i32>("c1599").unwrap(), 1_599);
    assert_eq!(row.get::<i32>(1_599).unwrap(), 1_599);
    assert!(row.get::<i32>(1_600).is_err());
}
