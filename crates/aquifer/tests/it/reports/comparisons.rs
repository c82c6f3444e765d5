//! Two sides: months, days with and without orders, products and what was sold of them.

use std::time::SystemTime;

use aquifer::Direction::Asc;
use aquifer::entity::*;
use aquifer::query::{self, JoinKind, call, coalesce, date_trunc, sum, val};

use super::schema::{Line, Order, Product};
use super::{assert_report, assert_typed, shop};

#[derive(Debug, PartialEq, DerivedTable)]
struct Before {
    product_id: i64,
    pieces: Option<i64>,
}

#[derive(Debug, PartialEq, DerivedTable)]
struct After {
    product_id: i64,
    pieces: Option<i64>,
}

const TWO_MONTHS: &str = "
    with before as (
        select l.product_id, sum(l.quantity) as pieces from orders o join order_lines l on l.order_id = o.id
        where o.ordered_at >= '2024-05-01 00:00+00' and o.ordered_at < '2024-05-11 00:00+00' group by 1
    ), after as (
        select l.product_id, sum(l.quantity) as pieces from orders o join order_lines l on l.order_id = o.id
        where o.ordered_at >= '2024-06-01 00:00+00' and o.ordered_at < '2024-06-11 00:00+00' group by 1
    )
    select b.product_id as old, b.pieces as before, a.product_id as new, a.pieces as after
    from before b full join after a on a.product_id = b.product_id
    order by b.product_id nulls last, a.product_id nulls last";

fn day(text: &str) -> SystemTime {
    let days: u64 = match text {
        "2024-05-01" => 19_844,
        "2024-05-11" => 19_854,
        "2024-06-01" => 19_875,
        "2024-06-11" => 19_885,
        other => panic!("{other}"),
    };
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400)
}

/// T, D
#[tokio::test]
async fn two_months_side_by_side() {
    let db = shop().await;
    let sold = |from: &str, to: &str| {
        Line::query()
            .join(Order::on(Order::ID, Line::ORDER_ID))
            .filter(Order::ORDERED_AT.ge(day(from)))
            .filter(Order::ORDERED_AT.lt(day(to)))
            .group_by((Line::PRODUCT_ID,))
            .select((Line::PRODUCT_ID, Line::QUANTITY.sum()))
    };
    let typed = Before::with(Before::of(sold("2024-05-01", "2024-05-11")))
        .with(After::of(sold("2024-06-01", "2024-06-11")))
        .full_join(After::on(After::PRODUCT_ID, Before::PRODUCT_ID))
        .order_by(Before::PRODUCT_ID.asc().nulls_last())
        .order_by(After::PRODUCT_ID.asc().nulls_last())
        .select((
            Before::PRODUCT_ID,
            Before::PIECES,
            After::PRODUCT_ID,
            After::PIECES,
        ));
    assert_typed(typed, &db, TWO_MONTHS).await;

    let sold = |from: &str, to: &str| {
        query::from("orders as o")
            .join("order_lines as l", "l.order_id", "=", "o.id")
            .where_("o.ordered_at", ">=", day(from))
            .where_("o.ordered_at", "<", day(to))
            .group_by("l.product_id")
            .select(("l.product_id", sum("l.quantity").alias("pieces")))
    };
    let dynamic = db
        .from("before as b")
        .with("before", sold("2024-05-01", "2024-05-11"))
        .with("after", sold("2024-06-01", "2024-06-11"))
        .full_join("after as a", "a.product_id", "=", "b.product_id")
        .order_by_nulls("b.product_id", Asc, query::Nulls::Last)
        .order_by_nulls("a.product_id", Asc, query::Nulls::Last)
        .select([
            "b.product_id as old",
            "b.pieces as before",
            "a.product_id as new",
            "a.pieces as after",
        ]);
    assert_report(dynamic, &db, TWO_MONTHS).await;
}

/// D
#[tokio::test]
async fn orders_of_each_day_those_without_any_too() {
    let db = shop().await;
    let day = |text: &'static str| val(text).cast("timestamptz");
    let days = call(
        "generate_series",
        [
            day("2024-03-01"),
            day("2024-05-01"),
            val("1 day").cast("interval"),
        ],
    );
    let dynamic = db
        .from((days, "days", ["day"]))
        .join_on(JoinKind::Left, "orders as o", |on| {
            on.where_column(date_trunc(TimeUnit::Day, "o.ordered_at"), "=", "days.day")
        })
        .group_by("days.day")
        .order_by("days.day", Asc)
        .select((
            "days.day",
            query::count("o.id").alias("orders"),
            coalesce((query::max("o.id"), val(0_i64))).alias("last"),
        ));
    let sql = "
        select d.day, count(o.id) as orders, coalesce(max(o.id), 0) as last
        from generate_series(timestamptz '2024-03-01', timestamptz '2024-05-01', interval '1 day') d (day)
        left join orders o on date_trunc('day', o.ordered_at) = d.day
        group by d.day order by d.day";
    assert_report(dynamic, &db, sql).await;
}

const UNSOLD: &str = "
    select p.id, p.name from products p left join order_lines l on l.product_id = p.id
    where l.product_id is null and p.deleted_at is null order by p.id";

/// T, D
#[tokio::test]
async fn products_that_nobody_has_bought() {
    let db = shop().await;
    let columns = (Product::ID, Product::NAME);
    let typed = Product::query()
        .filter(!Product::LINES.exists())
        .order_by(Product::ID.asc())
        .select(columns);
    assert_typed(typed, &db, UNSOLD).await;
    let typed = Product::query()
        .left_join(Product::LINES)
        .filter(Line::PRODUCT_ID.is_null())
        .order_by(Product::ID.asc())
        .select(columns);
    assert_typed(typed, &db, UNSOLD).await;

    let lines = query::from("order_lines as l").where_column("l.product_id", "=", "p.id");
    let dynamic = db
        .from("products as p")
        .where_not_exists(lines)
        .where_null("p.deleted_at")
        .order_by("p.id", Asc)
        .select(["p.id", "p.name"]);
    assert_report(dynamic, &db, UNSOLD).await;
}
