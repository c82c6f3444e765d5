//! Who buys, how often, and who sells.

use std::time::SystemTime;

use aquifer::Direction::{Asc, Desc};
use aquifer::entity::*;
use aquifer::query::{self, JoinKind, col, count_all, date_trunc, val};
use aquifer::types::Numeric;

use super::schema::{Colleague, Customer, Employee, Order, Payment, Review, Shipment};
use super::{assert_report, assert_typed, shop};

#[derive(Debug, PartialEq, DerivedTable)]
struct Cohort {
    customer_id: i64,
    first_month: Option<SystemTime>,
}

const RETENTION: &str = "
    with cohort as (
        select customer_id, min(date_trunc('month', ordered_at)) as first_month from orders group by customer_id
    )
    select c.first_month, date_trunc('month', o.ordered_at) as month, count(distinct o.customer_id) as customers
    from orders o join cohort c on c.customer_id = o.customer_id
    group by 1, 2 order by 1, 2";

/// T, D
#[tokio::test]
async fn how_many_customers_of_each_first_month_still_buy() {
    let db = shop().await;
    let month = || Order::ORDERED_AT.truncated(TimeUnit::Month);
    let cohort = Order::query()
        .group_by((Order::CUSTOMER_ID,))
        .select((Order::CUSTOMER_ID, month().min()));
    let typed = Order::query()
        .with(Cohort::of(cohort))
        .join(Cohort::on(Cohort::CUSTOMER_ID, Order::CUSTOMER_ID))
        .group_by((Cohort::FIRST_MONTH, month()))
        .order_by(Cohort::FIRST_MONTH.asc())
        .order_by(month().asc())
        .select((
            Cohort::FIRST_MONTH,
            month(),
            Order::CUSTOMER_ID.count_distinct(),
        ));
    assert_typed(typed, &db, RETENTION).await;

    let month = || date_trunc(TimeUnit::Month, "ordered_at");
    let cohort = query::from("orders")
        .group_by("customer_id")
        .select(("customer_id", query::min(month()).alias("first_month")));
    let dynamic = db
        .from("orders as o")
        .with("cohort", cohort)
        .join("cohort as c", "c.customer_id", "=", "o.customer_id")
        .group_by((col("c.first_month"), month()))
        .order_by("c.first_month", Asc)
        .order_by(month(), Asc)
        .select((
            "c.first_month",
            month().alias("month"),
            query::count("o.customer_id").distinct().alias("customers"),
        ));
    assert_report(dynamic, &db, RETENTION).await;
}

const LATEST: &str = "
    select distinct on (customer_id) customer_id, id, status, ordered_at
    from orders order by customer_id, ordered_at desc, id desc";

/// T, D: one text for both.
#[tokio::test]
async fn the_latest_order_of_each_customer() {
    let db = shop().await;
    let typed = Order::query()
        .distinct_on((Order::CUSTOMER_ID,))
        .order_by(Order::CUSTOMER_ID.asc())
        .order_by(Order::ORDERED_AT.desc())
        .order_by(Order::ID.desc())
        .select((
            Order::CUSTOMER_ID,
            Order::ID,
            Order::STATUS,
            Order::ORDERED_AT,
        ));
    let dynamic = db
        .from("orders")
        .distinct_on(["customer_id"])
        .order_by("customer_id", Asc)
        .order_by("ordered_at", Desc)
        .order_by("id", Desc)
        .select(["customer_id", "id", "status", "ordered_at"]);
    assert_eq!(typed.to_sql().unwrap(), dynamic.to_sql().unwrap());
    assert_typed(typed, &db, LATEST).await;
    assert_report(dynamic, &db, LATEST).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Recent {
    id: i64,
    ordered_at: SystemTime,
}

const LATEST_TWO: &str = "
    select c.id as customer, r.id, r.ordered_at from customers c
    left join lateral (
        select o.id, o.ordered_at from orders o where o.customer_id = c.id
        order by o.ordered_at desc, o.id desc limit 2
    ) r on true
    where c.country = 'IT' order by c.id, r.ordered_at desc, r.id desc";

/// T, D
#[tokio::test]
async fn the_last_two_orders_of_each_customer() {
    let db = shop().await;
    let recent = Order::query()
        .outer::<Customer>()
        .filter(Order::CUSTOMER_ID.eq_col(Customer::ID))
        .order_by(Order::ORDERED_AT.desc())
        .order_by(Order::ID.desc())
        .limit(2)
        .select((Order::ID, Order::ORDERED_AT));
    let typed = Customer::query()
        .left_join_lateral(Recent::of(recent))
        .filter(Customer::COUNTRY.eq("IT"))
        .order_by(Customer::ID.asc())
        .order_by(Recent::ORDERED_AT.desc())
        .order_by(Recent::ID.desc())
        .select((Customer::ID, Recent::ID, Recent::ORDERED_AT));
    assert_typed(typed, &db, LATEST_TWO).await;

    let recent = query::from("orders as o")
        .where_column("o.customer_id", "=", "c.id")
        .order_by("o.ordered_at", Desc)
        .order_by("o.id", Desc)
        .limit(2)
        .select(["o.id", "o.ordered_at"]);
    let dynamic = db
        .from("customers as c")
        .join_lateral(JoinKind::Left, recent, "r")
        .where_("c.country", "=", "IT")
        .order_by("c.id", Asc)
        .order_by("r.ordered_at", Desc)
        .order_by("r.id", Desc)
        .select(["c.id as customer", "r.id", "r.ordered_at"]);
    assert_report(dynamic, &db, LATEST_TWO).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Spending {
    customer_id: i64,
    spent: Option<Numeric>,
}

const QUARTERS: &str = "
    with spending as (
        select o.customer_id, sum(p.amount) as spent from orders o join payments p on p.order_id = o.id
        group by o.customer_id
    )
    select c.name, s.spent, ntile(4) over (order by s.spent desc, c.id) as quarter,
           dense_rank() over (partition by c.country order by s.spent desc) as place
    from spending s join customers c on c.id = s.customer_id order by s.spent desc, c.id";

/// T
#[tokio::test]
async fn customers_in_four_parts_by_what_they_spent() {
    let db = shop().await;
    let spending = Order::query()
        .join(Payment::on(Payment::ORDER_ID, Order::ID))
        .group_by((Order::CUSTOMER_ID,))
        .select((Order::CUSTOMER_ID, Payment::AMOUNT.sum()));
    let most = || Spending::SPENT.desc();
    let in_country = window().partition_by(Customer::COUNTRY).order_by(most());
    let typed = Spending::with(Spending::of(spending))
        .join(Customer::on(Customer::ID, Spending::CUSTOMER_ID))
        .order_by(most())
        .order_by(Customer::ID.asc())
        .select((
            Customer::NAME,
            Spending::SPENT,
            ntile(4).over(window().order_by(most()).order_by(Customer::ID.asc())),
            dense_rank().over(in_country),
        ));
    assert_typed(typed, &db, QUARTERS).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Buyer {
    customer_id: i64,
}

const LOYAL_AND_SILENT: &str = "
    (select customer_id from orders where ordered_at < '2025-01-01 00:00+00'
     intersect select customer_id from orders where ordered_at >= '2025-01-01 00:00+00')
    except select customer_id from reviews order by customer_id";

/// T, D
#[tokio::test]
async fn customers_who_came_back_and_said_nothing() {
    let db = shop().await;
    let year = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(20_089 * 86_400);
    let buyers = || Order::query().select((Order::CUSTOMER_ID,));
    let before = Buyer::of(buyers().filter(Order::ORDERED_AT.lt(year)));
    let since = Buyer::of(buyers().filter(Order::ORDERED_AT.ge(year)));
    let heard = Buyer::of(Review::query().select((Review::CUSTOMER_ID,)));
    let typed = before
        .intersect(since)
        .except(heard)
        .order_by(Buyer::CUSTOMER_ID.asc());
    let ids: Vec<i64> = typed
        .fetch(&db)
        .await
        .unwrap()
        .into_iter()
        .map(|buyer| buyer.customer_id)
        .collect();
    let buyers = || query::from("orders").select("customer_id");
    let both = buyers()
        .where_("ordered_at", "<", year)
        .intersect(buyers().where_("ordered_at", ">=", year));
    let dynamic = db
        .from((both, "both"))
        .select("customer_id")
        .except(query::from("reviews").select("customer_id"))
        .order_by("customer_id", Asc);
    let same: Vec<i64> = dynamic.clone().pluck("customer_id").await.unwrap();
    assert_eq!(ids, same);
    assert_report(dynamic, &db, LOYAL_AND_SILENT).await;
}

const OWN_AVERAGE: &str = "
    select c.id, (select count(o.id) from orders o where o.customer_id = c.id) as orders,
           (select max(r.rating) from reviews r where r.customer_id = c.id) as best
    from customers c
    where exists (select from reviews r where r.customer_id = c.id and r.rating = 1)
      and not exists (select from orders o where o.customer_id = c.id and o.status = 'open')
    order by c.id";

/// T, D
#[tokio::test]
async fn customers_who_were_cross_and_have_nothing_open() {
    let db = shop().await;
    let orders = || {
        let orders = Order::query().outer::<Customer>();
        orders.filter(Order::CUSTOMER_ID.eq_col(Customer::ID))
    };
    let reviews = || {
        let reviews = Review::query().outer::<Customer>();
        reviews.filter(Review::CUSTOMER_ID.eq_col(Customer::ID))
    };
    let typed = Customer::query()
        .filter(reviews().filter(Review::RATING.eq(1)).has_rows())
        .filter(!orders().filter(Order::STATUS.eq("open")).has_rows())
        .order_by(Customer::ID.asc())
        .select((
            Customer::ID,
            orders().scalar(Order::ID.count()),
            reviews().scalar(Review::RATING.max()),
        ));
    assert_typed(typed, &db, OWN_AVERAGE).await;

    let orders = || query::from("orders as o").where_column("o.customer_id", "=", "c.id");
    let reviews = || query::from("reviews as r").where_column("r.customer_id", "=", "c.id");
    let count = query::scalar(orders().select(query::count("o.id")));
    let best = query::scalar(reviews().select(query::max("r.rating")));
    let dynamic = db
        .from("customers as c")
        .where_exists(reviews().where_("r.rating", "=", 1))
        .where_not_exists(orders().where_("o.status", "=", "open"))
        .order_by("c.id", Asc)
        .select(("c.id", count.alias("orders"), best.alias("best")));
    assert_report(dynamic, &db, OWN_AVERAGE).await;
}

const EVERY_CARRIER: &str = "
    select o.customer_id, count(*) as shipments
    from orders o join shipments s on s.order_id = o.id
    group by o.customer_id
    having count(distinct s.carrier) = (select count(distinct carrier) from shipments)
    order by o.customer_id";

/// T, D
#[tokio::test]
async fn customers_to_whom_every_carrier_came() {
    let db = shop().await;
    let carriers = Shipment::query()
        .outer::<Order>()
        .scalar(Shipment::CARRIER.count_distinct());
    let typed = Order::query()
        .join(Order::SHIPMENTS)
        .group_by((Order::CUSTOMER_ID,))
        .having(Shipment::CARRIER.count_distinct().eq_col(carriers))
        .order_by(Order::CUSTOMER_ID.asc())
        .select((Order::CUSTOMER_ID, count_rows::<Order>()));
    assert_typed(typed, &db, EVERY_CARRIER).await;

    let carriers = query::from("shipments").select(query::count("carrier").distinct());
    let dynamic = db
        .from("orders as o")
        .join("shipments as s", "s.order_id", "=", "o.id")
        .group_by("o.customer_id")
        .having(query::count("s.carrier").distinct(), "=", carriers)
        .order_by("o.customer_id", Asc)
        .select(("o.customer_id", count_all().alias("shipments")));
    assert_report(dynamic, &db, EVERY_CARRIER).await;
}

#[derive(Debug, PartialEq, DerivedTable)]
struct Staff {
    id: i64,
    name: String,
    level: i32,
}

const STAFF: &str = "
    with recursive staff as (
        select id, name, 1 as level from employees where manager_id is null
        union all
        select e.id, e.name, s.level + 1 from employees e join staff s on e.manager_id = s.id
    )
    select id, name, level from staff order by level, id";

/// T, D
#[tokio::test]
async fn who_stands_how_far_below_the_owner() {
    let db = shop().await;
    let first = Employee::query().filter(Employee::MANAGER_ID.is_null());
    let next = Employee::query().join(Staff::on(Staff::ID, Employee::MANAGER_ID));
    let typed = Staff::recursive(
        first.select((Employee::ID, Employee::NAME, value(1))),
        next.select((Employee::ID, Employee::NAME, Staff::LEVEL + 1)),
    )
    .order_by(Staff::LEVEL.asc())
    .order_by(Staff::ID.asc())
    .select((Staff::ID, Staff::NAME, Staff::LEVEL));
    assert_typed(typed, &db, STAFF).await;

    let first = query::from("employees").where_null("manager_id").select((
        col("id"),
        col("name"),
        val(1).alias("level"),
    ));
    let next = query::from("employees as e")
        .join("staff as s", "e.manager_id", "=", "s.id")
        .select((col("e.id"), col("e.name"), col("s.level").op("+", 1)));
    let dynamic = db
        .from("staff")
        .with_recursive("staff", first.union_all(next))
        .order_by("level", Asc)
        .order_by("id", Asc)
        .select(["id", "name", "level"]);
    assert_report(dynamic, &db, STAFF).await;
}

const PAIRS: &str = "
    select e.name, c.name as colleague, e.salary
    from employees e join employees c on c.manager_id = e.manager_id
    where c.id <> e.id and e.salary < c.salary order by e.id, c.id";

/// T, D
#[tokio::test]
async fn employees_who_earn_less_than_a_colleague() {
    let db = shop().await;
    let same_manager = Colleague::on(Employee::MANAGER_ID.of(Colleague), Employee::MANAGER_ID);
    let typed = Employee::query()
        .join(same_manager)
        .filter(Employee::ID.of(Colleague).ne_col(Employee::ID))
        .filter(Employee::SALARY.lt_col(Employee::SALARY.of(Colleague)))
        .order_by(Employee::ID.asc())
        .order_by(Employee::ID.of(Colleague).asc())
        .select((
            Employee::NAME,
            Employee::NAME.of(Colleague),
            Employee::SALARY,
        ));
    assert_typed(typed, &db, PAIRS).await;

    let dynamic = db
        .from("employees as e")
        .join("employees as c", "c.manager_id", "=", "e.manager_id")
        .where_column("c.id", "<>", "e.id")
        .where_column("e.salary", "<", "c.salary")
        .order_by("e.id", Asc)
        .order_by("c.id", Asc)
        .select(["e.name", "c.name as colleague", "e.salary"]);
    assert_report(dynamic, &db, PAIRS).await;
}

const BY_SELLER: &str = "
    select e.name, o.id, o.status from employees e right join orders o on o.employee_id = e.id
    where o.id <= 60 order by o.id";

/// T, D
#[tokio::test]
async fn orders_with_who_sold_them_if_anybody_did() {
    let db = shop().await;
    let typed = Employee::query()
        .right_join(Order::on(Order::EMPLOYEE_ID, Employee::ID))
        .filter(Order::ID.le(60))
        .order_by(Order::ID.asc())
        .select((Employee::NAME, Order::ID, Order::STATUS));
    assert_typed(typed, &db, BY_SELLER).await;

    let dynamic = db
        .from("employees as e")
        .right_join("orders as o", "o.employee_id", "=", "e.id")
        .where_("o.id", "<=", 60)
        .order_by("o.id", Asc)
        .select(["e.name", "o.id", "o.status"]);
    assert_report(dynamic, &db, BY_SELLER).await;
}
