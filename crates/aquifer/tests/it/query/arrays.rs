//! Arrays of many rows travel in one statement.

use aquifer::{Db, Session, values};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::database;
use super::prepared::text;

/// Arrays come back from a statement of many rows as they were given, empty ones and NULL too.
#[tokio::test(flavor = "multi_thread")]
async fn arrays_of_many_rows_come_back_as_they_were() {
    let db = database().await;
    db.execute_script("create table lists (id int primary key, list text[], numbers int[])")
        .await
        .unwrap();
    let runtime = tokio::runtime::Handle::current();
    let outcome = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 60,
            failure_persistence: None,
            ..Config::default()
        };
        let list = proptest::option::of(proptest::collection::vec(text(), 0..4));
        // A column of which no row has an array is not known as one of arrays.
        let lists = proptest::collection::vec(list, 1..6)
            .prop_filter("no array", |lists| lists.iter().any(Option::is_some));
        TestRunner::new(config).run(&lists, |lists| runtime.block_on(returned(&db, &lists)))
    });
    outcome.await.unwrap().unwrap();
}

async fn returned(db: &Db, lists: &[Option<Vec<String>>]) -> Result<(), TestCaseError> {
    type Row = (i32, Option<Vec<String>>, Vec<i32>);
    let wanted: Vec<Row> = lists
        .iter()
        .zip(0..)
        .map(|(list, id)| (id, list.clone(), vec![id; 2]))
        .collect();
    let rows = wanted.iter().map(|(id, list, numbers)| {
        values! { id: *id, list: list.clone(), numbers: numbers.clone() }
    });
    let inserted: Vec<Row> = db.from("lists").insert_many(rows).rows_as().await.unwrap();
    prop_assert_eq!(&inserted, &wanted);
    db.from("lists").all_rows().delete().await.unwrap();
    Ok(())
}
