//! What was sold when, and for how much.

use std::time::SystemTime;

use aquifer::Direction::{Asc, Desc};
use aquifer::entity::*;
use aquifer::query::{self, call, col, count_all, date_trunc, sum, val};
use aquifer::types::{Date, Numeric};

use super::schema::{Customer, Line, Order, Payment};
use super::{assert_report, assert_typed, shop};

/// What a line costs.
fn total() -> Expr<Both<Line, Line>, Numeric> {
    Line::UNIT_PRICE.times(Line::QUANTITY.cast::<Numeric>())
}

fn month() -> Expr<Order, SystemTime> {
    Order::ORDERED_AT.truncated(TimeUnit::Month)
}

/// The same in the dynamic tier.
fn line_total() -> query::Expression {
    col("l.unit_price").op("*", col("l.quantity"))
}

fn order_month() -> query::Expression {
    date_trunc(TimeUnit::Month, "o.ordered_at")
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Monthly {
    month: SystemTime,
    customer_id: i64,
    revenue: Option<Numeric>,
    place: i64,
}

const TOP_CUSTOMERS: &str = "
    with ranked as (
        select date_trunc('month', o.ordered_at) as month, o.customer_id,
               sum(l.unit_price * l.quantity) as revenue,
               row_number() over (partition by date_trunc('month', o.ordered_at)
                                  order by sum(l.unit_price * l.quantity) desc, o.customer_id) as place
        from orders o join order_lines l on l.order_id = o.id
        group by 1, 2
    )
    select r.month, c.name, r.revenue, r.place
    from ranked r join customers c on c.id = r.customer_id
    where r.place <= 3 order by r.month, r.place";

/// T, D
#[tokio::test]
async fn the_three_best_customers_of_each_month() {
    let db = shop().await;
    let best = window()
        .partition_by(month())
        .order_by(total().sum().desc())
        .order_by(Order::CUSTOMER_ID.asc());
    let ranked = Order::query()
        .join(Order::LINES)
        .group_by((month(), Order::CUSTOMER_ID))
        .select((
            month(),
            Order::CUSTOMER_ID,
            total().sum(),
            row_number().over(best),
        ));
    let typed = Monthly::with(Monthly::of(ranked))
        .join(Customer::on(Customer::ID, Monthly::CUSTOMER_ID))
        .filter(Monthly::PLACE.le(3))
        .order_by(Monthly::MONTH.asc())
        .order_by(Monthly::PLACE.asc())
        .select((
            Monthly::MONTH,
            Customer::NAME,
            Monthly::REVENUE,
            Monthly::PLACE,
        ));
    assert_typed(typed, &db, TOP_CUSTOMERS).await;

    let best = query::window()
        .partition_by(order_month())
        .order_by(sum(line_total()), Desc)
        .order_by("o.customer_id", Asc);
    let ranked = query::from("orders as o")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .group_by((order_month(), "o.customer_id"))
        .select((
            order_month().alias("month"),
            "o.customer_id",
            sum(line_total()).alias("revenue"),
            call("row_number", ()).over(best).alias("place"),
        ));
    let dynamic = db
        .from("ranked as r")
        .with("ranked", ranked)
        .join("customers as c", "c.id", "=", "r.customer_id")
        .where_("r.place", "<=", 3)
        .order_by("r.month", Asc)
        .order_by("r.place", Asc)
        .select(["r.month", "c.name", "r.revenue", "r.place"]);
    assert_report(dynamic, &db, TOP_CUSTOMERS).await;
}

const RUNNING_TOTAL: &str = "
    select date_trunc('month', o.ordered_at) as month, sum(l.unit_price * l.quantity) as revenue,
           sum(sum(l.unit_price * l.quantity)) over (order by date_trunc('month', o.ordered_at)) as running
    from orders o join order_lines l on l.order_id = o.id
    where o.status <> 'cancelled' group by 1 order by 1";

/// T, D
#[tokio::test]
async fn the_running_total_of_the_revenue_by_month() {
    let db = shop().await;
    let typed = Order::query()
        .join(Order::LINES)
        .filter(Order::STATUS.ne("cancelled"))
        .group_by((month(),))
        .order_by(month().asc())
        .select((
            month(),
            total().sum(),
            total().sum().sum().over(window().order_by(month().asc())),
        ));
    assert_typed(typed, &db, RUNNING_TOTAL).await;

    let dynamic = db
        .from("orders as o")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .where_("o.status", "<>", "cancelled")
        .group_by(order_month())
        .order_by(order_month(), Asc)
        .select((
            order_month().alias("month"),
            sum(line_total()).alias("revenue"),
            sum(sum(line_total()))
                .over(query::window().order_by(order_month(), Asc))
                .alias("running"),
        ));
    assert_report(dynamic, &db, RUNNING_TOTAL).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Revenue {
    month: SystemTime,
    revenue: Option<Numeric>,
}

const GROWTH: &str = "
    with revenue as (
        select date_trunc('month', o.ordered_at) as month, sum(l.unit_price * l.quantity) as revenue
        from orders o join order_lines l on l.order_id = o.id group by 1
    )
    select month, revenue, revenue - lag(revenue) over w as growth,
           avg(revenue) over (order by month rows between 2 preceding and current row) as average
    from revenue window w as (order by month) order by month";

/// T, D
#[tokio::test]
async fn growth_and_moving_average_of_the_revenue() {
    let db = shop().await;
    let by_month = || window().order_by(Revenue::MONTH.asc());
    let revenue = Order::query()
        .join(Order::LINES)
        .group_by((month(),))
        .select((month(), total().sum()));
    let three = by_month().rows(FrameEdge::Preceding(2), FrameEdge::CurrentRow);
    let typed = Revenue::with(Revenue::of(revenue))
        .order_by(Revenue::MONTH.asc())
        .select((
            Revenue::MONTH,
            Revenue::REVENUE,
            Revenue::REVENUE.minus(Revenue::REVENUE.lag().over(by_month())),
            Revenue::REVENUE.avg().over(three),
        ));
    assert_typed(typed, &db, GROWTH).await;

    let by_month = || query::window().order_by("month", Asc);
    let revenue = query::from("orders as o")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .group_by(order_month())
        .select((
            order_month().alias("month"),
            sum(line_total()).alias("revenue"),
        ));
    let before = call("lag", "revenue").over_named("w");
    let three = by_month().rows(FrameEdge::Preceding(2), FrameEdge::CurrentRow);
    let dynamic = db
        .from("revenue")
        .with("revenue", revenue)
        .window("w", by_month())
        .order_by("month", Asc)
        .select((
            "month",
            "revenue",
            col("revenue").op("-", before).alias("growth"),
            query::avg("revenue").over(three).alias("average"),
        ));
    assert_report(dynamic, &db, GROWTH).await;
}

const BY_STATUS: &str = "
    select date_trunc('month', ordered_at) as month, count(*) as orders,
           count(*) filter (where status = 'cancelled') as cancelled,
           count(*) filter (where status in ('paid', 'shipped')) as good
    from orders group by 1 having count(*) > 10 order by 1";

/// T, D
#[tokio::test]
async fn orders_by_month_and_how_many_of_them_came_to_what() {
    let db = shop().await;
    let all = count_rows::<Order>;
    let typed = Order::query()
        .group_by((month(),))
        .having(all().gt(10))
        .order_by(month().asc())
        .select((
            month(),
            all(),
            all().filter(Order::STATUS.eq("cancelled")),
            all().filter(Order::STATUS.is_in(["paid", "shipped"])),
        ));
    assert_typed(typed, &db, BY_STATUS).await;

    let month = || date_trunc(TimeUnit::Month, "ordered_at");
    let cancelled = count_all().filter(col("status").eq("cancelled"));
    let good = count_all().filter(col("status").is("in", ["paid", "shipped"]));
    let dynamic = db
        .from("orders")
        .group_by(month())
        .having(count_all(), ">", 10)
        .order_by(month(), Asc)
        .select((
            month().alias("month"),
            count_all().alias("orders"),
            cancelled.alias("cancelled"),
            good.alias("good"),
        ));
    assert_report(dynamic, &db, BY_STATUS).await;
}

const QUARTERS: &str = "
    select c.country,
           sum(case when extract(quarter from o.ordered_at) = 1 then l.unit_price * l.quantity else 0 end) as q1,
           sum(case when extract(quarter from o.ordered_at) = 2 then l.unit_price * l.quantity else 0 end) as q2,
           sum(case when extract(quarter from o.ordered_at) = 3 then l.unit_price * l.quantity else 0 end) as q3,
           sum(case when extract(quarter from o.ordered_at) = 4 then l.unit_price * l.quantity else 0 end) as q4
    from orders o join order_lines l on l.order_id = o.id join customers c on c.id = o.customer_id
    where o.ordered_at >= '2025-01-01' and o.ordered_at < '2026-01-01'
    group by c.country order by c.country";

/// T, D
#[tokio::test]
async fn revenue_of_each_country_with_the_quarters_as_columns() {
    let db = shop().await;
    // The first day of a month of that year, or of the next one.
    let day = |month: u8| {
        let year = 2025 + i32::from(month / 13);
        Date::from_year_month_day(year, (month - 1) % 12 + 1, 1).unwrap()
    };
    let ordered_on = || Order::ORDERED_AT.cast::<Date>();
    let quarter = |first: u8| {
        let from = ordered_on().ge(day(first));
        let own = from.and(ordered_on().lt(day(first + 3)));
        case(own, total()).otherwise(value(Numeric::from(0))).sum()
    };
    let typed = Order::query()
        .join(Order::LINES)
        .join(Customer::on(Customer::ID, Order::CUSTOMER_ID))
        .filter(ordered_on().ge(day(1)))
        .filter(ordered_on().lt(day(13)))
        .group_by((Customer::COUNTRY,))
        .order_by(Customer::COUNTRY.asc())
        .select((
            Customer::COUNTRY,
            quarter(1),
            quarter(4),
            quarter(7),
            quarter(10),
        ));
    assert_typed(typed, &db, QUARTERS).await;

    let quarter = |number: f64| {
        let own = call("date_part", [val("quarter"), col("o.ordered_at")]).eq(number);
        sum(query::case([(own, line_total())], val(0))).alias(format!("q{number}"))
    };
    let dynamic = db
        .from("orders as o")
        .join("order_lines as l", "l.order_id", "=", "o.id")
        .join("customers as c", "c.id", "=", "o.customer_id")
        .where_("o.ordered_at", ">=", val("2025-01-01").cast("timestamptz"))
        .where_("o.ordered_at", "<", val("2026-01-01").cast("timestamptz"))
        .group_by("c.country")
        .order_by("c.country", Asc)
        .select((
            "c.country",
            quarter(1.0),
            quarter(2.0),
            quarter(3.0),
            quarter(4.0),
        ));
    assert_report(dynamic, &db, QUARTERS).await;
}

const MEDIAN: &str = "
    select c.country, count(p.id) as payments,
           percentile_cont(0.5) within group (order by p.amount) as median,
           percentile_cont(0.9) within group (order by p.amount) as ninth
    from customers c join orders o on o.customer_id = c.id join payments p on p.order_id = o.id
    group by c.country order by c.country";

/// T, D
#[tokio::test]
async fn the_median_of_what_customers_of_each_country_paid() {
    let db = shop().await;
    let amount = || Payment::AMOUNT.expr();
    let typed = Customer::query()
        .join(Customer::ORDERS)
        .join(Payment::on(Payment::ORDER_ID, Order::ID))
        .group_by((Customer::COUNTRY,))
        .order_by(Customer::COUNTRY.asc())
        .select((
            Customer::COUNTRY,
            Payment::ID.count(),
            amount().percentile(0.5),
            amount().percentile(0.9),
        ));
    assert_typed(typed, &db, MEDIAN).await;

    let percentile = |part: f64| call("percentile_cont", val(part)).within_group("p.amount", Asc);
    let dynamic = db
        .from("customers as c")
        .join("orders as o", "o.customer_id", "=", "c.id")
        .join("payments as p", "p.order_id", "=", "o.id")
        .group_by("c.country")
        .order_by("c.country", Asc)
        .select((
            "c.country",
            query::count("p.id").alias("payments"),
            percentile(0.5).alias("median"),
            percentile(0.9).alias("ninth"),
        ));
    assert_report(dynamic, &db, MEDIAN).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Earned {
    product_id: i64,
    revenue: Option<Numeric>,
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Share {
    product_id: i64,
    revenue: Option<Numeric>,
    so_far: Option<Numeric>,
    everything: Option<Numeric>,
}

const CLASSES: &str = "
    with revenue as (
        select product_id, sum(unit_price * quantity) as revenue from order_lines group by product_id
    ), shares as (
        select product_id, revenue, sum(revenue) over (order by revenue desc, product_id) as so_far,
               sum(revenue) over () as everything from revenue
    )
    select product_id, revenue,
           case when so_far / everything <= 0.5 then 'A' when so_far / everything <= 0.8 then 'B'
                else 'C' end as class
    from shares order by so_far";

/// T, D
#[tokio::test]
async fn the_products_that_bring_most_of_the_revenue() {
    let db = shop().await;
    let revenue = Line::query().group_by((Line::PRODUCT_ID,));
    let best_first = window()
        .order_by(Earned::REVENUE.desc())
        .order_by(Earned::PRODUCT_ID.asc());
    let shares = Earned::with(Earned::of(
        revenue.select((Line::PRODUCT_ID, total().sum())),
    ));
    let shares = shares.select((
        Earned::PRODUCT_ID,
        Earned::REVENUE,
        Earned::REVENUE.sum().over(best_first),
        Earned::REVENUE.sum().over(window()),
    ));
    let part = || Share::SO_FAR.divided_by(Share::EVERYTHING);
    let of = |percent: &str| percent.parse::<Numeric>().unwrap();
    let class = case(part().le(of("0.5")), literal("A"))
        .when(part().le(of("0.8")), literal("B"))
        .otherwise(literal("C"));
    let typed = Share::with(Share::of(shares))
        .order_by(Share::SO_FAR.asc())
        .select((Share::PRODUCT_ID, Share::REVENUE, class));
    assert_typed(typed, &db, CLASSES).await;

    let revenue = query::from("order_lines as l")
        .group_by("l.product_id")
        .select(("l.product_id", sum(line_total()).alias("revenue")));
    let best_first = query::window()
        .order_by("revenue", Desc)
        .order_by("product_id", Asc);
    let shares = query::from("revenue").select((
        "product_id",
        "revenue",
        sum("revenue").over(best_first).alias("so_far"),
        sum("revenue").over(query::window()).alias("everything"),
    ));
    let part = || col("so_far").op("/", col("everything"));
    let class = query::case(
        [
            (part().is("<=", 0.5), val("A")),
            (part().is("<=", 0.8), val("B")),
        ],
        val("C"),
    );
    let dynamic = db
        .from("shares")
        .with("revenue", revenue)
        .with("shares", shares)
        .order_by("so_far", Asc)
        .select(("product_id", "revenue", class.alias("class")));
    assert_report(dynamic, &db, CLASSES).await;
}
