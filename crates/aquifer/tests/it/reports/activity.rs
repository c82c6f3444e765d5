//! What happened, one after another.

use std::time::SystemTime;

use aquifer::Direction::{Asc, Desc};
use aquifer::entity::*;
use aquifer::query::{self, CursorKey, call, col, count_all, date_trunc, val};
use aquifer::types::{Date, Interval};
use aquifer::{ErrorKind, Session};

use super::schema::{Customer, Order, Payment, Review, Shipment};
use super::{assert_report, assert_rows, assert_typed, shop};

#[derive(Debug, PartialEq, DerivedTable)]
struct Activity {
    what: String,
    customer_id: i64,
    at: SystemTime,
}

const ACTIVITIES: &str = "
    select what, customer_id, at from (
        select 'order' as what, customer_id, ordered_at as at from orders
        union all
        select 'payment', o.customer_id, p.paid_at from payments p join orders o on o.id = p.order_id
        union all
        select 'review', customer_id, created_at from reviews
    ) activity
    where customer_id <= 40 order by at desc, what, customer_id limit 50";

/// T, D
#[tokio::test]
async fn what_customers_have_done_last() {
    let db = shop().await;
    let what = |what: &str| value(what.to_owned());
    let orders = Order::query().select((what("order"), Order::CUSTOMER_ID, Order::ORDERED_AT));
    let payments = Payment::query()
        .join(Order::on(Order::ID, Payment::ORDER_ID))
        .select((what("payment"), Order::CUSTOMER_ID, Payment::PAID_AT));
    let reviews = Review::query().select((what("review"), Review::CUSTOMER_ID, Review::CREATED_AT));
    let typed = Activity::of(orders)
        .union_all(Activity::of(payments))
        .union_all(Activity::of(reviews))
        .filter(Activity::CUSTOMER_ID.le(40))
        .order_by(Activity::AT.desc())
        .order_by(Activity::WHAT.asc())
        .order_by(Activity::CUSTOMER_ID.asc())
        .limit(50)
        .select((Activity::WHAT, Activity::CUSTOMER_ID, Activity::AT));
    assert_typed(typed, &db, ACTIVITIES).await;

    let all = query::from("orders")
        .select((
            val("order").alias("what"),
            col("customer_id"),
            col("ordered_at").alias("at"),
        ))
        .union_all(
            query::from("payments as p")
                .join("orders as o", "o.id", "=", "p.order_id")
                .select((val("payment"), col("o.customer_id"), col("p.paid_at"))),
        )
        .union_all(query::from("reviews").select((
            val("review"),
            col("customer_id"),
            col("created_at"),
        )));
    let dynamic = db
        .from((all, "activity"))
        .where_("customer_id", "<=", 40)
        .order_by("at", Desc)
        .order_by("what", Asc)
        .order_by("customer_id", Asc)
        .limit(50)
        .select(["what", "customer_id", "at"]);
    assert_report(dynamic, &db, ACTIVITIES).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct BusyDay {
    day: Date,
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Island {
    day: Date,
    island: Date,
}

const PERIODS: &str = "
    with days as (select distinct date_trunc('day', ordered_at)::date as day from orders),
         islands as (select day, day - (row_number() over (order by day))::int as island from days)
    select min(day) as first, max(day) as last, count(*) as days
    from islands group by island order by first";

/// T, D
#[tokio::test]
async fn periods_in_which_there_were_orders_every_day() {
    let db = shop().await;
    let day = Order::ORDERED_AT.truncated(TimeUnit::Day).cast::<Date>();
    let days = BusyDay::with(BusyDay::of(Order::query().distinct().select((day,))));
    let number = row_number().over(window().order_by(BusyDay::DAY.asc()));
    let islands = days.select((
        BusyDay::DAY,
        BusyDay::DAY.days_earlier_col(number.cast::<i32>()),
    ));
    let typed = Island::with(Island::of(islands))
        .group_by((Island::ISLAND,))
        .order_by(Island::DAY.min().asc())
        .select((Island::DAY.min(), Island::DAY.max(), count_rows::<Island>()));
    assert_typed(typed, &db, PERIODS).await;

    let day = || date_trunc(TimeUnit::Day, "ordered_at").cast("date");
    let days = query::from("orders").select(day().alias("day")).distinct();
    let number = call("row_number", ()).over(query::window().order_by("day", Asc));
    let islands = query::from("days").select((
        col("day"),
        col("day").op("-", number.cast("int")).alias("island"),
    ));
    let dynamic = db
        .from("islands")
        .with("days", days)
        .with("islands", islands)
        .group_by("island")
        .order_by("first", Asc)
        .select((
            query::min("day").alias("first"),
            query::max("day").alias("last"),
            count_all().alias("days"),
        ));
    assert_report(dynamic, &db, PERIODS).await;
}

/// T, D
#[tokio::test]
async fn payments_page_by_page() {
    let db = shop().await;
    let key = CursorKey::new(&[7; 32]).unwrap();
    let payments = |method: &'static str| {
        db.from("payments")
            .where_("method", "=", method)
            .order_by("amount", Desc)
            .order_by("id", Asc)
            .select(["id", "amount"])
    };
    let (mut ids, mut after): (Vec<i64>, Option<String>) = (Vec::new(), None);
    loop {
        let query = payments("card");
        // The pages need not have one size.
        let size = 40 + ids.len() as u64 % 3;
        let page = query
            .cursor_page(&key, after.as_deref(), size)
            .await
            .unwrap();
        ids.extend(page.rows.iter().map(|row| row.get::<i64>("id").unwrap()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let sql = "select id from payments where method = 'card' order by amount desc, id";
    let written: Vec<i64> = db.query_column(sql, ()).await.unwrap();
    assert!(written.len() > 100);
    assert_eq!(ids, written);

    let (mut ids, mut after): (Vec<i64>, Option<String>) = (Vec::new(), None);
    loop {
        let payments = Payment::query()
            .filter(Payment::METHOD.eq("card"))
            .order_by(Payment::AMOUNT.desc())
            .order_by(Payment::ID.asc());
        let page = payments.cursor_page(&key, after.as_deref(), 40, &db);
        let page = page.await.unwrap();
        ids.extend(page.rows.iter().map(Payment::key));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(ids, written);

    // A cursor is good for its conditions and its order only.
    let after = payments("card")
        .cursor_page(&key, None, 5)
        .await
        .unwrap()
        .next;
    for other in [
        payments("bank"),
        payments("card").where_("id", ">", 7),
        payments("card").reversed(),
    ] {
        let refused = other.cursor_page(&key, after.as_deref(), 5).await;
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.to_string().contains("with these conditions"),
            "{error}"
        );
    }
}

const CARRIERS: &str = "
    select s.carrier, count(*) as shipments, count(s.delivered_at) as delivered,
           avg(s.delivered_at - s.shipped_at) as takes,
           max(s.delivered_at) filter (where s.delivered_at < s.shipped_at + interval '2 days') as quick
    from shipments s group by s.carrier having count(*) > 10 order by s.carrier";

/// T, D
#[tokio::test]
async fn how_long_carriers_take() {
    let db = shop().await;
    let two_days = Interval {
        days: 2,
        ..Interval::default()
    };
    let quick = Shipment::DELIVERED_AT.lt_col(Shipment::SHIPPED_AT.later_by(two_days));
    let typed = Shipment::query()
        .group_by((Shipment::CARRIER,))
        .having(count_rows::<Shipment>().gt(10))
        .order_by(Shipment::CARRIER.asc())
        .select((
            Shipment::CARRIER,
            count_rows::<Shipment>(),
            Shipment::DELIVERED_AT.count(),
            Shipment::DELIVERED_AT.since(Shipment::SHIPPED_AT).avg(),
            Shipment::DELIVERED_AT.max().filter(quick),
        ));
    assert_typed(typed, &db, CARRIERS).await;

    let two_days = col("shipped_at").op("+", val("2 days").cast("interval"));
    let quick = query::max("delivered_at").filter(col("delivered_at").is("<", two_days));
    let dynamic = db
        .from("shipments")
        .group_by("carrier")
        .having(count_all(), ">", 10)
        .order_by("carrier", Asc)
        .select((
            col("carrier"),
            count_all().alias("shipments"),
            query::count("delivered_at").alias("delivered"),
            query::avg(col("delivered_at").op("-", col("shipped_at"))).alias("takes"),
            quick.alias("quick"),
        ));
    assert_report(dynamic, &db, CARRIERS).await;
}

const ROUTES: &str = "
    select c.country, s.carrier, count(*) as shipments, max(o.status) as state
    from orders o join customers c on c.id = o.customer_id join shipments s on s.order_id = o.id
    group by c.country, s.carrier order by c.country, s.carrier";

/// T
#[tokio::test]
async fn which_carrier_goes_where() {
    let db = shop().await;
    let typed = Order::query()
        .join(Customer::on(Customer::ID, Order::CUSTOMER_ID))
        .join(Order::SHIPMENTS)
        .group_by((Customer::COUNTRY, Shipment::CARRIER))
        .order_by(Customer::COUNTRY.asc())
        .order_by(Shipment::CARRIER.asc())
        .select((
            Customer::COUNTRY,
            Shipment::CARRIER,
            count_rows::<Order>(),
            Order::STATUS.max(),
        ));
    assert_typed(typed, &db, ROUTES).await;
}

/// T, D
#[tokio::test]
async fn a_page_of_groups_with_the_number_of_all() {
    let db = shop().await;
    let busy = db
        .from("orders")
        .group_by("customer_id")
        .having(count_all(), ">", 9)
        .order_by("orders", Desc)
        .order_by("customer_id", Asc)
        .select((col("customer_id"), count_all().alias("orders")));
    let page = busy.clone().paginate(2, 7).await.unwrap();
    let sql = "select customer_id, count(*) as orders from orders group by customer_id
               having count(*) > 9 order by orders desc, customer_id";
    let all = db.query(sql, ()).await.unwrap();
    assert!(all.len() > 14);
    assert_eq!(page.total, all.len() as u64);
    assert_rows(&page.rows, &all[7..14]);
    let typed = Order::query()
        .group_by((Order::CUSTOMER_ID,))
        .having(count_rows::<Order>().gt(9))
        .order_by(count_rows::<Order>().desc())
        .order_by(Order::CUSTOMER_ID.asc())
        .select((Order::CUSTOMER_ID, count_rows::<Order>()));
    let typed = typed.paginate(2, 7, &db).await.unwrap();
    assert_eq!(typed.total, page.total);
    let pairs = all[7..14].iter();
    let pairs: Vec<(i64, i64)> = pairs
        .map(|row| (row.get("customer_id").unwrap(), row.get("orders").unwrap()))
        .collect();
    assert_eq!(typed.rows, pairs);
    // Aggregates of the result, and not of what it was made of.
    let most: Option<i64> = busy.clone().aggregate("max", "orders").await.unwrap();
    assert_eq!(most, Some(all[0].get("orders").unwrap()));
    let of_five: Option<i64> = busy.limit(5).aggregate("count", "orders").await.unwrap();
    assert_eq!(of_five, Some(5));
    let newest = db.from("orders").order_by("id", Desc).limit(3);
    let sum: Option<aquifer::types::Numeric> = newest.aggregate("sum", "id").await.unwrap();
    assert_eq!(sum.unwrap().to_string(), (3000 + 2999 + 2998).to_string());
}
