use aquifer_wire::Kind;
use aquifer_wire::types::{Array, Dimension};
use proptest::prelude::*;

use super::{Trip, samples, strategies};
use crate::database::{row, run, session};

fn array<T>(dimensions: &[(u32, i32)], elements: Vec<T>) -> Array<T> {
    let dimension = |(length, lower_bound): &(u32, i32)| Dimension {
        length: *length,
        lower_bound: *lower_bound,
    };
    Array::new(dimensions.iter().map(dimension).collect(), elements).unwrap()
}

#[tokio::test]
async fn arrays_of_every_shape() {
    let client = session().await;
    let mut values = vec![
        array(&[], vec![]),
        array(&[(1, 1)], vec![None]),
        array(&[(2, 2)], vec![Some(7), Some(8)]),
        array(&[(2, -1), (3, 0)], (0..6).map(Some).collect()),
        array(&[(1, 1); 6], vec![Some(1)]),
    ];
    // The upper bound must have its place in an int too.
    values.extend(samples(strategies::array()).into_iter().filter(|array| {
        let reaches =
            |d: &Dimension| i64::from(d.lower_bound) + i64::from(d.length) <= i64::from(i32::MAX);
        array.dimensions().iter().all(reaches)
    }));
    Trip::of(&client, "int4[]").alone().run(&values).await;
    // As the server prints it, so that bounds and order are those that were meant.
    let sql = "select $1::int4[]::text";
    let text = row(&client, sql, &(&values[2],)).await;
    assert_eq!(text.get::<&str>(0).unwrap(), "[2:3]={7,8}");
    let text = row(&client, sql, &(&values[3],)).await;
    assert_eq!(
        text.get::<&str>(0).unwrap(),
        "[-1:0][0:2]={{0,1,2},{3,4,5}}"
    );
}

#[tokio::test]
async fn lists_of_every_kind() {
    let client = session().await;
    let lists = || prop::collection::vec(any::<Option<i64>>(), 0..9);
    Trip::of(&client, "int8[]")
        .alone()
        .run(&samples(lists()))
        .await;
    let texts = prop::collection::vec(proptest::option::of("[^\\x00]{0,9}"), 0..9);
    let mut texts = samples(texts);
    let awkward = ["", "NULL", "null", "{}", "\"", "\\", ",", " ", "{a,\"b\"}"];
    texts.push(
        awkward
            .iter()
            .map(|text| Some((*text).to_owned()))
            .collect(),
    );
    Trip::of(&client, "text[]").alone().run(&texts).await;
    let bytes = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..9);
    Trip::of(&client, "bytea[]")
        .alone()
        .run(&samples(bytes))
        .await;
    Trip::of(&client, "bool[]")
        .alone()
        .run(&samples(any::<[bool; 3]>()))
        .await;
    Trip::of(&client, "int2[]")
        .alone()
        .run(&samples(prop::collection::vec(any::<u8>(), 0..9)))
        .await;
    let large: Vec<i32> = (0..100_000).collect();
    Trip::of(&client, "int4[]").alone().run(&[large]).await;
}

#[tokio::test]
async fn the_old_vectors_count_from_zero() {
    let client = session().await;
    let row = row(
        &client,
        "select $1::int2vector, $2::oidvector, ($1::int2vector)[0]",
        &([3_i16, 4], [5_u32]),
    )
    .await;
    assert_eq!(row.get::<Vec<i16>>(0).unwrap(), [3, 4]);
    assert_eq!(row.get::<Vec<u32>>(1).unwrap(), [5]);
    assert_eq!(row.get::<i16>(2).unwrap(), 3);
    assert_eq!(
        row.get::<Array<i16>>(0).unwrap().dimensions()[0].lower_bound,
        0
    );
}

#[tokio::test]
async fn a_list_is_not_taken_for_what_it_is_not() {
    let client = session().await;
    let row = row(
        &client,
        "select '{{1,2},{3,4}}'::int4[] as matrix, '{1,null}'::int4[] as gaps",
        &(),
    )
    .await;
    let error = row.get::<Vec<i32>>("matrix").unwrap_err().to_string();
    assert!(
        error.contains("2 dimensions") && error.contains("Array"),
        "{error}"
    );
    let error = row.get::<Vec<i32>>("gaps").unwrap_err().to_string();
    assert!(
        error.contains("NULL") && error.contains("Option"),
        "{error}"
    );
    let error = row.get::<[i32; 3]>("gaps").unwrap_err();
    assert_eq!(error.kind(), Kind::Decode);
    let error = run(&client, "select $1::int4[]", &(5,)).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Encode, false));
    let error = run(&client, "select $1::int4", &([5],)).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (Kind::Encode, false));
    // What the server itself refuses: this many elements fit no array.
    let error = run(&client, "select array_fill(0, array[100000, 100000])", &())
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "54000");
}
