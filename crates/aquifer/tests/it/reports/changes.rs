//! Statements that change many rows: each is run by the builder and as SQL, in a transaction of its
//! own that is taken back, and leaves the same behind.

use aquifer::Direction::Asc;
use aquifer::entity::*;
use aquifer::query::{self, col, count_all, now, sum, val};
use aquifer::types::Numeric;
use aquifer::{Db, Row, Session, Transaction, values};

use super::schema::{ArchivedOrder, Category, Job, Line, Order, Product, Review, Supplier};
use super::{assert_rows, shop};

/// What a statement returned, and what a table holds afterwards.
struct Outcome {
    returned: Vec<Row>,
    after: Vec<Row>,
}

/// What SQL written by hand leaves behind.
async fn written(db: &Db, sql: &'static str, after: &'static str) -> Outcome {
    let transaction = db.begin().await.unwrap();
    let returned = transaction.query(sql, ()).await.unwrap();
    left(transaction, returned, after).await
}

/// What the table holds; the transaction is taken back.
async fn left(transaction: Transaction, returned: Vec<Row>, after: &'static str) -> Outcome {
    let after = transaction.query(after, ()).await.unwrap();
    transaction.rollback().await.unwrap();
    Outcome { returned, after }
}

#[track_caller]
fn assert_same(built: &Outcome, written: &Outcome) {
    assert_rows(&built.after, &written.after);
    if !built.returned.is_empty() {
        assert_rows(&built.returned, &written.returned);
    }
}

/// T, D
#[tokio::test]
async fn two_workers_take_different_jobs_from_a_queue() {
    let db = shop().await;
    let sql = "
        update jobs set taken_at = now() where id in (
            select id from jobs where taken_at is null and kind = 'mail'
            order by run_at limit 5 for update skip locked
        ) returning id, kind";
    let other = db.begin().await.unwrap();
    let mut first: Vec<i64> = other.query_column(sql, ()).await.unwrap();
    first.sort_unstable();

    let next = || {
        query::from("jobs")
            .where_null("taken_at")
            .where_("kind", "=", "mail")
            .order_by("run_at", Asc)
            .limit(5)
            .for_update()
            .skip_locked()
            .select("id")
    };
    let transaction = db.begin().await.unwrap();
    let taken = transaction
        .from("jobs")
        .where_in_query("id", next())
        .update(values! { taken_at: now() })
        .returning(["id", "kind"]);
    let mut second: Vec<i64> = taken
        .rows()
        .await
        .unwrap()
        .iter()
        .map(|row| row.get("id").unwrap())
        .collect();
    second.sort_unstable();
    transaction.rollback().await.unwrap();

    let transaction = db.begin().await.unwrap();
    let jobs = Job::query()
        .filter(Job::TAKEN_AT.is_null())
        .filter(Job::KIND.eq("mail"))
        .order_by(Job::RUN_AT.asc())
        .limit(5)
        .for_update()
        .skip_locked()
        .column(Job::ID);
    let taken = Job::update()
        .set(Job::TAKEN_AT, std::time::SystemTime::now())
        .filter(Job::ID.in_query(jobs))
        .fetch(&transaction)
        .await
        .unwrap();
    let mut third: Vec<i64> = taken.iter().map(|job| job.id).collect();
    third.sort_unstable();
    transaction.rollback().await.unwrap();
    other.rollback().await.unwrap();

    assert_eq!((first.len(), second.len()), (5, 5));
    assert!(first.iter().all(|id| !second.contains(id)));
    assert_eq!(second, third);
}

const ARCHIVE: &str = "select * from archived_orders order by order_id";

/// T, D
#[tokio::test]
async fn old_orders_are_archived_by_a_query() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "insert into archived_orders (order_id, customer_id, total)
         select o.id, o.customer_id, sum(l.unit_price * l.quantity)
         from orders o join order_lines l on l.order_id = o.id where o.id <= 500
         group by o.id, o.customer_id",
        ARCHIVE,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let total = sum(col("l.unit_price").op("*", col("l.quantity")));
    let old = query::from("orders as o")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .where_("o.id", "<=", 500)
        .group_by(["o.id", "o.customer_id"])
        .select((col("o.id"), col("o.customer_id"), total));
    let archive = transaction.from("archived_orders");
    let count = archive.insert_from(["order_id", "customer_id", "total"], old);
    assert_eq!(count.await.unwrap(), 500);
    let built = left(transaction, Vec::new(), ARCHIVE).await;
    assert_same(&built, &by_hand);

    let transaction = db.begin().await.unwrap();
    let total = Line::UNIT_PRICE
        .times(Line::QUANTITY.cast::<Numeric>())
        .sum();
    let old = Order::query()
        .join(Order::LINES)
        .filter(Order::ID.le(500))
        .group_by((Order::ID, Order::CUSTOMER_ID))
        .select((Order::ID, Order::CUSTOMER_ID, total.or(Numeric::from(0))));
    let columns = (
        ArchivedOrder::ORDER_ID,
        ArchivedOrder::CUSTOMER_ID,
        ArchivedOrder::TOTAL,
    );
    let archive = ArchivedOrder::insert_from(columns, old);
    assert_eq!(archive.execute(&transaction).await.unwrap(), 500);
    let built = left(transaction, Vec::new(), ARCHIVE).await;
    assert_same(&built, &by_hand);
}

const PRICES: &str = "select id, price, stock from products order by id";

/// T, D
#[tokio::test]
async fn prices_of_a_supplier_rise_by_a_join() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "update products p set price = p.price * 1.1 from suppliers s
         where s.id = p.supplier_id and s.country = 'CN' and p.stock > 10",
        PRICES,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let price = col("p.price").op("*", val("1.1").cast("numeric"));
    let changed = transaction
        .from("products as p")
        .join("suppliers as s", "s.id", "=", "p.supplier_id")
        .where_("s.country", "=", "CN")
        .where_("p.stock", ">", 10)
        .update(values! { price: price })
        .await
        .unwrap();
    assert!(changed > 50, "{changed}");
    let built = left(transaction, Vec::new(), PRICES).await;
    assert_same(&built, &by_hand);

    let transaction = db.begin().await.unwrap();
    let factor: Numeric = "1.1".parse().unwrap();
    let raised = Product::update()
        .from(Supplier::on(Supplier::ID, Product::SUPPLIER_ID))
        .with_deleted()
        .set(Product::PRICE, Product::PRICE * factor)
        .filter(Supplier::COUNTRY.eq("CN"))
        .filter(Product::STOCK.gt(10))
        .fetch(&transaction)
        .await
        .unwrap();
    assert_eq!(raised.len() as u64, changed);
    let built = left(transaction, Vec::new(), PRICES).await;
    assert_same(&built, &by_hand);
}

const REVIEWS: &str = "select count(*) as reviews, sum(id) as ids from reviews";

/// T, D
#[tokio::test]
async fn reviews_of_products_that_are_gone_are_deleted_by_a_join() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "delete from reviews r using products p
         where p.id = r.product_id and p.deleted_at is not null returning r.id",
        REVIEWS,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let mut returned = transaction
        .from("reviews as r")
        .join("products as p", "p.id", "=", "r.product_id")
        .where_not_null("p.deleted_at")
        .delete()
        .returning("r.id")
        .rows()
        .await
        .unwrap();
    let mut built = left(transaction, Vec::new(), REVIEWS).await;
    let id = |row: &Row| row.get::<i64>("id").unwrap();
    returned.sort_by_key(id);
    built.returned = returned;
    let mut by_hand = by_hand;
    by_hand.returned.sort_by_key(id);
    assert!(!built.returned.is_empty());
    assert_same(&built, &by_hand);

    let transaction = db.begin().await.unwrap();
    let deleted = Review::delete()
        .using(Review::PRODUCT)
        .with_deleted()
        .filter(Product::DELETED_AT.is_not_null())
        .execute(&transaction)
        .await
        .unwrap();
    assert_eq!(deleted, by_hand.returned.len() as u64);
    let built = left(transaction, Vec::new(), REVIEWS).await;
    assert_same(&built, &by_hand);
}

const TAGGED: &str = "select id, stock, tags from products where id <= 10 order by id";

/// T, D: numbers and arrays of many rows travel in one statement, which has one text for any number.
#[tokio::test]
async fn stock_and_tags_of_many_products_change_by_one_statement() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "update products p set stock = n.stock, tags = n.tags
         from (values (1, 11, '{x,y}'::text[]), (2, 12, '{}'), (3, 13, '{z}')) n (id, stock, tags)
         where p.id = n.id",
        TAGGED,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let row = |id: i64, stock: i32, tags: &[&'static str]| {
        values! { id: id, stock: stock, tags: tags.to_vec() }
    };
    let rows = [row(1, 11, &["x", "y"]), row(2, 12, &[]), row(3, 13, &["z"])];
    let changed = transaction.from("products").update_many(["id"], rows).await;
    assert_eq!(changed.unwrap(), 3);
    let built = left(transaction, Vec::new(), TAGGED).await;
    assert_same(&built, &by_hand);

    let transaction = db.begin().await.unwrap();
    let tags = |tags: &[&str]| -> Vec<String> { tags.iter().map(|&tag| tag.into()).collect() };
    let update = Product::update_many(
        (Product::ID, Product::STOCK, Product::TAGS),
        [
            (1, 11, tags(&["x", "y"])),
            (2, 12, tags(&[])),
            (3, 13, tags(&["z"])),
        ],
    );
    assert_eq!(update.execute(&transaction).await.unwrap(), 3);
    let built = left(transaction, Vec::new(), TAGGED).await;
    assert_same(&built, &by_hand);
}

/// D
#[tokio::test]
async fn jobs_that_are_done_move_by_a_statement_within_a_query() {
    let db = shop().await;
    let sql = "
        with gone as (delete from jobs where taken_at is not null returning id, kind)
        select kind, count(*) as jobs from gone group by kind order by kind";
    let after = "select id, kind from jobs order by id";
    let by_hand = written(&db, sql, after).await;
    let transaction = db.begin().await.unwrap();
    let done = transaction.from("jobs").where_not_null("taken_at").delete();
    let returned = transaction
        .from("gone")
        .with_change("gone", done.returning(["id", "kind"]))
        .group_by("kind")
        .order_by("kind", Asc)
        .select((col("kind"), count_all().alias("jobs")))
        .get()
        .await
        .unwrap();
    let built = left(transaction, returned, after).await;
    assert!(!built.returned.is_empty());
    assert_same(&built, &by_hand);
}

const PRODUCTS: &str = "select * from products where id > 320 order by id";

/// T, D: arrays, empty ones and documents among the columns.
#[tokio::test]
async fn many_products_with_their_tags_are_inserted_by_one_statement() {
    let db = shop().await;
    let by_hand = written(
        &db,
        "insert into products (id, sku, name, description, category_id, supplier_id, price, stock, tags, attributes)
         select 1000 + n, 'NEW-' || n, 'New ' || n, 'new', 1, 1, 10, 0,
                (array['a', 'b', 'c'])[1 : n - 1], '{\"colour\": \"red\"}'
         from generate_series(1, 4) n",
        PRODUCTS,
    )
    .await;
    let product = |number: usize| Product {
        id: 1000 + number as i64,
        sku: format!("NEW-{number}"),
        name: format!("New {number}"),
        description: "new".into(),
        category_id: 1,
        supplier_id: 1,
        price: "10.00".parse().unwrap(),
        stock: 0,
        tags: ["a", "b", "c"].map(String::from)[..number - 1].to_vec(),
        attributes: super::schema::Attributes {
            colour: "red".into(),
        },
        deleted_at: None,
    };
    let products: Vec<Product> = (1..=4).map(product).collect();
    let transaction = db.begin().await.unwrap();
    let inserted = Product::insert_many(products.iter().map(Insert::from));
    assert_eq!(inserted.fetch(&transaction).await.unwrap(), products);
    let built = left(transaction, Vec::new(), PRODUCTS).await;
    assert_same(&built, &by_hand);

    let transaction = db.begin().await.unwrap();
    let rows = products.iter().map(|product| {
        values! {
            id: product.id,
            tags: product.tags.clone(),
            sku: product.sku.clone(),
            name: product.name.clone(),
            description: product.description.clone(),
            category_id: 1,
            supplier_id: 1,
            price: 10,
            stock: 0,
            attributes: aquifer::types::Json(product.attributes.clone()),
        }
    });
    let inserted = transaction.from("products").insert_many(rows).await;
    assert_eq!(inserted.unwrap(), 4);
    let built = left(transaction, Vec::new(), PRODUCTS).await;
    assert_same(&built, &by_hand);
}

/// T
#[tokio::test]
async fn products_of_a_branch_are_marked_as_deleted() {
    let db = shop().await;
    let after = "select id from products where deleted_at is null order by id";
    let by_hand = written(
        &db,
        "update products set deleted_at = now() where deleted_at is null and category_id in
             (select id from categories where parent_id = 2) returning id",
        after,
    )
    .await;
    let transaction = db.begin().await.unwrap();
    let branch = Category::query().filter(Category::PARENT_ID.eq(2));
    let deleted = Product::delete()
        .filter(Product::CATEGORY_ID.in_query(branch.column(Category::ID)))
        .execute(&transaction)
        .await
        .unwrap();
    assert_eq!(deleted, by_hand.returned.len() as u64);
    assert!(deleted > 0);
    let built = left(transaction, Vec::new(), after).await;
    assert_same(&built, &by_hand);
}
