use std::collections::BTreeMap;

use aquifer_wire::types::Json;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Trip, samples};
use crate::database::{row, run, session};

/// Values of every shape, but for the NUL, which no text of the server holds.
fn values() -> Vec<Value> {
    let text = "[^\\x00]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..5)
                .prop_map(|map| map.into_iter().collect()),
        ]
    });
    let mut values = samples(value);
    values.extend([
        json!({}),
        json!([]),
        json!(""),
        json!(0.1),
        json!({"": {"\"": "\\"}}),
        json!(1.5e300),
    ]);
    values
}

#[tokio::test]
async fn values_of_every_shape() {
    let client = session().await;
    Trip::of(&client, "json").run(&values()).await;
    Trip::of(&client, "jsonb").run(&values()).await;
    let typed: Vec<_> = samples(any::<BTreeMap<u8, Option<i64>>>())
        .into_iter()
        .map(Json)
        .collect();
    Trip::of(&client, "jsonb").run(&typed).await;
}

#[tokio::test]
async fn json_keeps_its_text_and_jsonb_does_not() {
    let client = session().await;
    let texts = [
        r#"{"b": 1,  "a": 2, "b": 3}"#,
        " [ 1 , 2 ] ",
        "1e400",
        "123456789012345678901234567890",
        "1.0000000000000000000000001",
        r#""\u00e9""#,
        "null",
    ];
    Trip::of(&client, "json")
        .run(&texts.map(String::from))
        .await;
    let kept = [
        r#"{"a": 2, "b": 3}"#,
        "[1, 2]",
        "1",
        "123456789012345678901234567890",
        "1.0000000000000000000000001",
        "\"é\"",
        "null",
    ];
    for (text, kept) in texts.into_iter().zip(kept) {
        let row = row(&client, "select $1::jsonb", &(text,)).await;
        let read: &str = row.get(0).unwrap();
        match text {
            "1e400" => assert_eq!(read.len(), 401),
            _ => assert_eq!(read, kept),
        }
    }
}

#[tokio::test]
async fn what_a_rust_number_can_not_hold_is_an_error_that_names_the_column() {
    let client = session().await;
    let row = row(
        &client,
        "select '1e400'::json as much, '{\"a\": 300}'::jsonb as large",
        &(),
    )
    .await;
    let error = row.get::<Value>("much").unwrap_err().to_string();
    assert!(error.contains("much") && error.contains("json"), "{error}");
    let error = row
        .get::<Json<BTreeMap<String, u8>>>("large")
        .unwrap_err()
        .to_string();
    assert!(error.contains("large") && !error.contains("300"), "{error}");
}

#[tokio::test]
async fn null_of_json_is_a_value() {
    let client = session().await;
    let row = row(
        &client,
        "select 'null'::jsonb, null::jsonb, $1::jsonb is null",
        &(Json(None::<i32>),),
    )
    .await;
    assert_eq!(row.get::<Option<Value>>(0).unwrap(), Some(Value::Null));
    assert_eq!(row.get::<Option<Value>>(1).unwrap(), None);
    assert!(!row.get::<bool>(2).unwrap());
}

/// The escape of a NUL is JSON, but jsonb has no place for it: that the server says, not we.
#[tokio::test]
async fn an_escaped_nul_is_text_to_json_only() {
    let client = session().await;
    let nul = Value::from("\0");
    let row = row(&client, "select $1::json", &(&nul,)).await;
    assert_eq!(row.get::<Value>(0).unwrap(), nul);
    let error = run(&client, "select $1::jsonb", &(&nul,))
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "22P05");
}
