//! Reports of a shop, as services have them: each is put together by a builder, and its rows are those
//! of SQL written by hand. `T` marks those of the typed tier, `D` those of the dynamic one.

mod activity;
mod catalogue;
mod changes;
mod comparisons;
mod customers;
mod sales;
mod schema;
mod upserts;

use std::fmt::Debug;

use aquifer::entity::Query;
use aquifer::query::{Attached, QueryBuilder};
use aquifer::types::Raw;
use aquifer::{Db, FromRow, Row, Session};
use tokio::sync::OnceCell;

use crate::support;

/// The data is loaded once; tests that change it take their work back.
static SHOP: OnceCell<String> = OnceCell::const_new();

async fn shop() -> Db {
    let url = SHOP.get_or_init(async || {
        let url = support::url();
        let db = Db::connect_with(&support::config(url.clone()))
            .await
            .unwrap();
        db.execute_script(include_str!("reports/shop.sql"))
            .await
            .unwrap();
        db.shutdown(support::PATIENCE).await;
        url
    });
    let config = support::config(url.await.clone()).connections_max(3);
    Db::connect_with(&config).await.unwrap()
}

/// Names and values of all columns of a row, as they came from the server.
type Plain = Vec<(String, Option<Raw>)>;

fn plain(rows: &[Row]) -> Vec<Plain> {
    let row = |row: &Row| {
        let columns = row.columns().list().iter().enumerate();
        columns
            .map(|(at, column)| (column.name().to_owned(), row.get(at).unwrap()))
            .collect()
    };
    rows.iter().map(row).collect()
}

/// Both have the same rows, with the same names and types, in the same order; and there are some.
#[track_caller]
fn assert_rows(built: &[Row], written: &[Row]) {
    assert!(!written.is_empty(), "a report without rows shows nothing");
    let (built, written) = (plain(built), plain(written));
    for (number, (one, other)) in built.iter().zip(&written).enumerate() {
        assert_eq!(one, other, "row {number}");
    }
    assert_eq!(built.len(), written.len());
}

/// A query of the dynamic tier has the rows of that SQL.
async fn assert_report(
    query: QueryBuilder<Attached<'_>>,
    session: &impl Session,
    sql: &'static str,
) {
    let plan = query.clone().build().unwrap();
    assert!(!plan.has_raw(), "no part of it is written by hand");
    let built = query.get().await;
    let built = built.unwrap_or_else(|error| panic!("{error}\n{}", plan.sql()));
    assert_rows(&built, &session.query(sql, ()).await.unwrap());
}

/// A query of the typed tier has the rows of that SQL.
async fn assert_typed<S, R>(query: Query<S, R>, session: &impl Session, sql: &'static str)
where
    R: FromRow + Send + PartialEq + Debug,
{
    let text = query.to_sql().unwrap();
    let built = query.fetch(session).await;
    let built = built.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let written: Vec<R> = session.query_as(sql, ()).await.unwrap();
    assert!(!written.is_empty(), "a report without rows shows nothing");
    for (number, (one, other)) in built.iter().zip(&written).enumerate() {
        assert_eq!(one, other, "row {number} of {text}");
    }
    assert_eq!(built.len(), written.len(), "{text}");
}
