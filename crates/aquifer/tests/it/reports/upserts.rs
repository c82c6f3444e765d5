//! Rows that may be there already: of both tiers, against SQL written by hand.

use std::time::{Duration, SystemTime};

use aquifer::entity::*;
use aquifer::query::{self, col, excluded};
use aquifer::{Db, Row, Session, Transaction, insert, values};

use super::schema::{Address, Product, Stock};
use super::{assert_rows, shop};

async fn left(transaction: Transaction, after: &'static str) -> Vec<Row> {
    let rows = transaction.query(after, ()).await.unwrap();
    transaction.rollback().await.unwrap();
    rows
}

async fn written(db: &Db, sql: &'static str, after: &'static str) -> Vec<Row> {
    let transaction = db.begin().await.unwrap();
    transaction.execute(sql, ()).await.unwrap();
    left(transaction, after).await
}

const STOCKS: &str =
    "select product_id, pieces, counted_at from stocks where product_id <= 40 order by 1";

fn at(hours: u64) -> SystemTime {
    // The first of January 2025.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600 + hours * 3600)
}

/// T, D: of the counts only those are taken over that are newer.
#[tokio::test]
async fn newer_counts_replace_older_ones() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "insert into stocks (product_id, pieces, counted_at)
         select n, 7, timestamptz '2025-01-01 20:00+00' from generate_series(1, 40) n
         on conflict (product_id) do update set pieces = excluded.pieces, counted_at = excluded.counted_at
         where stocks.counted_at < excluded.counted_at",
        STOCKS,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let counts = (1..=40).map(|product_id: i64| {
        insert!(Stock {
            product_id,
            pieces: 7,
            counted_at: at(20)
        })
    });
    let changed = Stock::insert_many(counts)
        .on_conflict(Stock::PRODUCT_ID)
        .update_where(Stock::COUNTED_AT.lt_col(Stock::COUNTED_AT.excluded()))
        .do_update()
        .execute(&transaction)
        .await
        .unwrap();
    assert_eq!(changed, 19);
    assert_rows(&left(transaction, STOCKS).await, &by_hand);

    let transaction = db.begin().await.unwrap();
    let counts = (1..=40_i64).map(|product| {
        values! { product_id: product, pieces: 7, counted_at: at(20) }
    });
    let changed = transaction
        .from("stocks")
        .insert_many(counts)
        .on_conflict(["product_id"])
        .do_update(["pieces", "counted_at"])
        .update_where(col("stocks.counted_at").is("<", excluded("counted_at")))
        .await
        .unwrap();
    assert_eq!(changed, 19);
    assert_rows(&left(transaction, STOCKS).await, &by_hand);
}

/// T, D
#[tokio::test]
async fn a_delivery_is_added_to_what_is_there() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "insert into stocks (product_id, pieces, counted_at) values (7, 100, '2025-01-01 00:00+00')
         on conflict on constraint stocks_pkey do update set pieces = stocks.pieces + excluded.pieces",
        STOCKS,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let delivery = insert!(Stock {
        product_id: 7,
        pieces: 100,
        counted_at: at(0)
    });
    let stock = delivery
        .on_constraint("stocks_pkey")
        .set(Stock::PIECES, Stock::PIECES.plus(Stock::PIECES.excluded()))
        .do_update_set()
        .fetch(&transaction)
        .await
        .unwrap();
    assert!(stock.pieces > 100);
    assert_rows(&left(transaction, STOCKS).await, &by_hand);

    let transaction = db.begin().await.unwrap();
    let pieces = col("stocks.pieces").op("+", excluded("pieces"));
    transaction
        .from("stocks")
        .insert(values! { product_id: 7, pieces: 100, counted_at: at(0) })
        .on_constraint("stocks_pkey")
        .do_update_set(values! { pieces: pieces })
        .await
        .unwrap();
    assert_rows(&left(transaction, STOCKS).await, &by_hand);
}

const ADDRESSES: &str = "select * from addresses where customer_id <= 40 order by id";

/// T, D: by a unique index that is a partial one.
#[tokio::test]
async fn a_customer_has_one_address_for_bills() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "insert into addresses (id, customer_id, kind, city) values (5000, 30, 'billing', 'Oslo')
         on conflict (customer_id) where kind = 'billing' do update set city = excluded.city",
        ADDRESSES,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let address = insert!(Address {
        id: 5000,
        customer_id: 30,
        kind: "billing",
        city: "Oslo"
    });
    let address = address
        .on_conflict(Address::CUSTOMER_ID)
        .index_where(Address::KIND.eq_col(literal("billing")))
        .do_update_only(Address::CITY)
        .fetch(&transaction)
        .await
        .unwrap();
    assert_eq!(address.city, "Oslo");
    assert_rows(&left(transaction, ADDRESSES).await, &by_hand);

    let transaction = db.begin().await.unwrap();
    transaction
        .from("addresses")
        .insert(values! { id: 5000, customer_id: 30, kind: "billing", city: "Oslo" })
        .on_conflict(["customer_id"])
        .on_conflict_where(col("kind").eq(query::literal("billing")))
        .do_update(["city"])
        .await
        .unwrap();
    assert_rows(&left(transaction, ADDRESSES).await, &by_hand);
}

/// T: a row that is there already and is not newer is no row of the result.
#[tokio::test]
async fn what_was_left_as_it_is_is_not_returned() {
    let db = shop().await;
    let transaction = db.begin().await.unwrap();
    let count = insert!(Stock {
        product_id: 7,
        pieces: 1,
        counted_at: at(0)
    });
    let stock: Option<Stock> = count
        .on_conflict(Stock::PRODUCT_ID)
        .update_where(Stock::COUNTED_AT.lt_col(Stock::COUNTED_AT.excluded()))
        .do_update()
        .fetch(&transaction)
        .await
        .unwrap();
    assert_eq!(stock, None);
    transaction.rollback().await.unwrap();
    assert!(
        Product::query()
            .filter(Product::ID.eq(7))
            .exists(&db)
            .await
            .unwrap()
    );
}
