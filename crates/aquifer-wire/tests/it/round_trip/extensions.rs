use std::collections::{BTreeMap, HashMap};

use aquifer_wire::types::Raw;

use super::{Trip, samples};
use crate::database::{has_extension, row, run, session};

#[tokio::test]
async fn text_that_ignores_case() {
    let client = session().await;
    if !has_extension(&client, "citext").await {
        return;
    }
    Trip::of(&client, "citext")
        .run(&samples("[^\\x00]{0,40}"))
        .await;
    let row = row(
        &client,
        "select $1::citext = 'ABC', 'ÄB'::citext",
        &("abc",),
    )
    .await;
    assert!(row.get::<bool>(0).unwrap());
    assert_eq!(row.get::<&str>(1).unwrap(), "ÄB");
}

#[tokio::test]
async fn maps_of_text() {
    let client = session().await;
    if !has_extension(&client, "hstore").await {
        return;
    }
    let text = "[^\\x00]{0,9}";
    let pairs = proptest::collection::btree_map(text, proptest::option::of(text), 0..9);
    let maps: Vec<BTreeMap<String, Option<String>>> = samples(pairs);
    Trip::of(&client, "hstore").run(&maps).await;
    let hashed: Vec<HashMap<String, Option<String>>> = maps
        .into_iter()
        .map(|map| map.into_iter().collect())
        .collect();
    Trip::of(&client, "hstore").run(&hashed).await;
    // The same in a schema that is not on the path, and under a domain.
    client.script("create schema apart; alter extension hstore set schema apart; create domain attributes as apart.hstore").await.unwrap();
    Trip::of(&client, "attributes").run(&hashed).await;
}

#[tokio::test]
async fn labels_of_trees() {
    let client = session().await;
    if !has_extension(&client, "ltree").await {
        return;
    }
    Trip::of(&client, "ltree")
        .run(&samples("[A-Za-z0-9_]{1,9}(\\.[A-Za-z0-9_]{1,9}){0,5}"))
        .await;
    Trip::of(&client, "lquery")
        .run(&["a.*.b|c".to_owned()])
        .await;
    Trip::of(&client, "ltxtquery")
        .run(&["a & b*".to_owned()])
        .await;
}

#[tokio::test]
async fn types_that_nothing_is_known_of() {
    let client = session().await;
    if has_extension(&client, "cube").await {
        let row = row(&client, "select cube(1, 2), cube(1, 2)::text", &()).await;
        let raw: Raw = row.get(0).unwrap();
        assert_eq!(raw.ty().name(), "cube");
        let error = row.get::<String>(0).unwrap_err().to_string();
        assert!(
            error.contains("cube") && error.contains("::text"),
            "{error}"
        );
        Trip::of(&client, "cube").run(&[raw]).await;
    }
    // A type that the server has no binary form of can only be read as text, and says so.
    if has_extension(&client, "isn").await {
        let error = run(&client, "select '978-0-393-04002-9'::isbn13", &())
            .await
            .unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "42883", "{error}");
        let row = row(&client, "select '978-0-393-04002-9'::isbn13::text", &()).await;
        assert_eq!(row.get::<&str>(0).unwrap(), "978-0-393-04002-9");
    }
}
