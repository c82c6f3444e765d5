//! Whatever is put together from parts that fit: the server takes it for a statement.

use aquifer::query::{
    self, Direction, Explained, Expression, Nulls, Plan, QueryBuilder, SubQuery, TimeUnit, array,
    call, col, count_all, date_trunc, literal, now, row, val, window,
};
use aquifer::{Db, Error, Session, raw, values};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::database;

const OPERATORS: [&str; 6] = ["=", "<>", "<", "<=", ">", ">="];
const NUMBERS: [&str; 3] = ["id", "age", "score"];

/// One step of building a query; the numbers choose columns and values.
#[derive(Clone, Debug)]
enum Step {
    Compare(usize, usize, i64),
    In(Vec<i64>, bool),
    Text(usize, String),
    Null(usize, bool),
    Between(i64, i64),
    Raw(i64),
    Json(Vec<String>, String),
    Tags(Vec<String>),
    Exists(Vec<Self>),
    Group(Vec<Self>, usize),
    Order(usize, bool, Option<bool>),
    Limit(u64),
    Offset(u64),
    Distinct,
    Join(usize),
    With(Vec<Self>),
    Union(Vec<Self>, usize),
    Window,
    Lock(bool),
    Symmetric(i64, i64),
    Literal(usize, usize),
    Rows(i64, i64),
    Quantified(usize, bool, Vec<i64>),
    Median(usize, usize),
    Month(usize),
    Series(i32),
}

/// Texts of the source code, as nobody would write them.
const LITERALS: [&str; 6] = [
    "",
    "it's",
    "'; drop table users; --",
    "\\'; drop table users; --",
    "$1 \" {} /* E'",
    "\\\\",
];
const UNITS: [TimeUnit; 8] = [
    TimeUnit::Second,
    TimeUnit::Minute,
    TimeUnit::Hour,
    TimeUnit::Day,
    TimeUnit::Week,
    TimeUnit::Month,
    TimeUnit::Quarter,
    TimeUnit::Year,
];

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[^\\x00]{0,12}", Just("'; drop table users; --".to_owned())]
}

fn step() -> impl Strategy<Value = Step> {
    let condition = prop_oneof![
        (0..3_usize, 0..6_usize, -9..99_i64).prop_map(|(a, b, c)| Step::Compare(a, b, c)),
        (proptest::collection::vec(-9..99_i64, 0..4), any::<bool>())
            .prop_map(|(a, b)| Step::In(a, b)),
        (0..6_usize, text()).prop_map(|(a, b)| Step::Text(a, b)),
        (0..3_usize, any::<bool>()).prop_map(|(a, b)| Step::Null(a, b)),
        (-9..9_i64, 9..99_i64).prop_map(|(a, b)| Step::Between(a, b)),
        any::<i64>().prop_map(Step::Raw),
        (proptest::collection::vec(text(), 0..3), text()).prop_map(|(a, b)| Step::Json(a, b)),
        proptest::collection::vec(text(), 0..3).prop_map(Step::Tags),
        (-9..99_i64, -9..99_i64).prop_map(|(a, b)| Step::Symmetric(a, b)),
        (0..6_usize, 0..3_usize).prop_map(|(a, b)| Step::Literal(a, b)),
        (-9..99_i64, -9..99_i64).prop_map(|(a, b)| Step::Rows(a, b)),
        (
            0..6_usize,
            any::<bool>(),
            proptest::collection::vec(-9..99_i64, 0..4)
        )
            .prop_map(|(a, b, c)| Step::Quantified(a, b, c)),
        (0..3_usize, 0..6_usize).prop_map(|(a, b)| Step::Median(a, b)),
        (0..8_usize).prop_map(Step::Month),
    ];
    let shape = prop_oneof![
        (0..3_usize, any::<bool>(), any::<Option<bool>>())
            .prop_map(|(a, b, c)| Step::Order(a, b, c)),
        (0..50_u64).prop_map(Step::Limit),
        (0..50_u64).prop_map(Step::Offset),
        Just(Step::Distinct),
        (0..5_usize).prop_map(Step::Join),
        Just(Step::Window),
        any::<bool>().prop_map(Step::Lock),
        any::<i32>().prop_map(Step::Series),
    ];
    let few = proptest::collection::vec(condition.clone(), 0..4);
    prop_oneof![
        5 => condition,
        3 => shape,
        2 => (few.clone(), 0..3_usize).prop_map(|(a, b)| Step::Group(a, b)),
        1 => few.clone().prop_map(Step::Exists),
        1 => few.clone().prop_map(Step::With),
        1 => (few, 0..3_usize).prop_map(|(a, b)| Step::Union(a, b)),
    ]
}

fn filtered(table: &'static str, steps: &[Step]) -> SubQuery {
    steps.iter().fold(query::from(table), |query, step| {
        condition(query, "users", step)
    })
}

fn array_of(list: Vec<i64>) -> Expression {
    array(list.into_iter().map(val).collect::<Vec<_>>()).cast("bigint[]")
}

fn condition<S>(query: QueryBuilder<S>, table: &str, step: &Step) -> QueryBuilder<S> {
    let column = |name: &str| format!("{table}.{name}");
    match step.clone() {
        Step::Compare(at, operator, value) => {
            query.where_(column(NUMBERS[at]), OPERATORS[operator], value)
        }
        Step::In(list, false) => query.where_in(column("id"), list),
        Step::In(list, true) => query.where_not_in(column("id"), list),
        Step::Text(0, text) => query.where_contains(column("name"), text),
        Step::Text(1, text) => query.where_icontains(column("name"), text),
        Step::Text(2, text) => query.where_starts_with(column("email"), text),
        Step::Text(3, text) => query.where_search(column("name"), "simple", text),
        Step::Text(_, text) => query.where_(column("name"), "=", text),
        Step::Null(at, true) => query.where_null(column(NUMBERS[at])),
        Step::Null(at, false) => query.where_not_null(column(NUMBERS[at])),
        Step::Between(low, high) => query.where_between(column("age"), low, high),
        Step::Raw(value) => query.where_raw(raw!("{}::bigint > 5 or 1 = 2 -- {{}}", value)),
        Step::Json(path, value) => query.where_json(column("meta"), path, "=", value),
        Step::Tags(tags) => query.where_(column("tags"), "&&", tags),
        Step::Group(steps, kind) => {
            let build = |group: SubQuery| {
                steps
                    .iter()
                    .fold(group, |group, step| condition(group, table, step))
            };
            match kind {
                0 => query.where_any(build),
                1 => query.where_all(build),
                _ => query.where_not(build),
            }
        }
        Step::Symmetric(one, other) => query.where_between_symmetric(column("age"), one, other),
        Step::Literal(at, 0) => query.where_(column("name"), "=", literal(LITERALS[at])),
        Step::Literal(at, 1) => query.where_expr(literal(LITERALS[at]).is("<>", literal("x"))),
        Step::Literal(at, _) => query.where_(column("id"), ">", literal(i64::MIN + 5 * at as i64)),
        Step::Rows(one, other) => {
            let own = row([col(column("id")), col(column("age"))]);
            query.where_expr(own.is(">", row([val(one), val(other)])))
        }
        Step::Quantified(operator, all, list) => {
            let own = col(column("id"));
            let operator = OPERATORS[operator];
            query.where_expr(match all {
                true => own.is_all(operator, array_of(list)),
                false => own.is_any(operator, query::from("users").select("id")),
            })
        }
        Step::Median(at, operator) => {
            let median = call("percentile_cont", val(0.5))
                .within_group(NUMBERS[at], Direction::Asc)
                .filter(col("active").is("is", true));
            let median = query::scalar(query::from("users").select(median));
            query.where_expr(col(column("id")).is(OPERATORS[operator], median))
        }
        Step::Month(at) => {
            let unit = date_trunc(UNITS[at], column("created_at"));
            query.where_expr(unit.is("<=", now()))
        }
        Step::Exists(steps) => query.where_exists(filtered("users", &steps)),
        _ => query,
    }
}

fn joined<S>(query: QueryBuilder<S>, number: usize, kind: usize) -> QueryBuilder<S> {
    let posts = format!("posts as p{number}");
    let on = format!("p{number}.user_id");
    match kind {
        0 => query.join(posts, on, "=", "users.id"),
        1 => query.left_join(posts, on, "=", "users.id"),
        2 => query.right_join(posts, on, "=", "users.id"),
        3 => query.full_join(posts, on, "=", "users.id"),
        _ => query.cross_join(posts),
    }
}

/// A query of users by these steps, those left out that don't go with others.
fn built<S>(mut query: QueryBuilder<S>, steps: &[Step]) -> QueryBuilder<S> {
    let has = |wanted: fn(&Step) -> bool| steps.iter().any(wanted);
    let shaped = has(|step| matches!(step, Step::Distinct | Step::Union(..) | Step::Window));
    query = query
        .from("users")
        .select(("users.id", "users.age", "users.score"));
    for (number, step) in steps.iter().enumerate() {
        query = match step.clone() {
            Step::Order(at, desc, nulls) => {
                let direction = if desc {
                    Direction::Desc
                } else {
                    Direction::Asc
                };
                match nulls {
                    // Of a union the columns have no table.
                    None => query.order_by(NUMBERS[at], direction),
                    Some(true) => query.order_by_nulls(NUMBERS[at], direction, Nulls::First),
                    Some(false) => query.order_by_nulls(NUMBERS[at], direction, Nulls::Last),
                }
            }
            Step::Limit(count) => query.limit(count),
            Step::Offset(count) => query.offset(count),
            Step::Distinct => query.distinct(),
            Step::Join(kind) => joined(query, number, kind),
            // Once: the name can be given to one source only.
            Step::Series(end)
                if steps
                    .iter()
                    .position(|step| matches!(step, Step::Series(_)))
                    == Some(number) =>
            {
                let series = call("generate_series", [val(1), val(end % 5)]);
                query.cross_join((series, "series", ["number"]))
            }
            Step::With(steps) => query.with(format!("cte {number}\""), filtered("users", &steps)),
            Step::Union(steps, kind) => {
                let other = filtered("users", &steps).select(("id", "age", "score"));
                match kind {
                    0 => query.union(other),
                    1 => query.union_all(other),
                    _ => query.except(other),
                }
            }
            Step::Window if !has(|step| matches!(step, Step::Union(..))) => {
                let own = window()
                    .partition_by([col("users.mood")])
                    .order_by("users.id", Direction::Asc);
                query
                    .add_select((
                        call("rank", ()).over(own).alias(format!("rank {number}")),
                        val("x"),
                    ))
                    .where_expr(val(1).eq(1))
            }
            Step::Lock(skip) if !shaped && !has(|step| matches!(step, Step::Join(1..=3))) => {
                let query = query.for_update().lock_of(["users"]);
                if skip { query.skip_locked() } else { query }
            }
            other => condition(query, "users", &other),
        };
    }
    query
}

/// The plan of the statement must name each table that the server's plan has: cache tags and routing
/// rely on it. It may name more, since the server leaves out what it can do without.
fn knows_its_tables(plan: &Plan, explained: Result<Explained, Error>) -> Result<(), TestCaseError> {
    let explained =
        explained.map_err(|error| TestCaseError::fail(format!("{}\n{error:?}", plan.sql())))?;
    let written: Vec<_> = plan
        .tables_written()
        .map(|table| table.name.as_str())
        .collect();
    let all = plan.tables_read().map(|table| table.name.as_str());
    let all: Vec<_> = all.chain(written.iter().copied()).collect();
    for step in explained.steps() {
        let Some(table) = step.table() else { continue };
        prop_assert!(all.contains(&table), "{table} is unknown of {}", plan.sql());
        if step.kind() == "ModifyTable" {
            prop_assert!(
                written.contains(&table),
                "{table} is written by {}",
                plan.sql()
            );
        }
    }
    Ok(())
}

/// A change of users, or of posts by what is found of users, in each form.
async fn change(db: &Db, steps: &[Step], form: usize) -> Result<(), TestCaseError> {
    let chosen = |from: &'static str, table: &str| {
        let query = db.from(from).all_rows();
        steps
            .iter()
            .fold(query, |query, step| condition(query, table, step))
    };
    let found = || filtered("users", steps);
    let changed = match form {
        0 => chosen("users", "users").delete(),
        1 => chosen("users", "users").update(values! { age: 3 }),
        2 => db
            .from("posts")
            .where_in_query("posts.user_id", found().select("users.id"))
            .update(values! { views: 1 }),
        _ => {
            let joined = db
                .from("posts")
                .join("users", "users.id", "=", "posts.user_id");
            let query = steps
                .iter()
                .fold(joined, |query, step| condition(query, "users", step));
            match form {
                3 => query.delete(),
                _ => query.update(values! { views: col("users.age") }),
            }
        }
    };
    let plan = changed.clone().build();
    let plan = plan.map_err(|error| TestCaseError::fail(error.to_string()))?;
    knows_its_tables(&plan, changed.explain().await)?;
    let inserted = db
        .from("posts")
        .insert_from(["user_id"], found().select("users.id"));
    let plan = inserted.clone().build();
    let plan = plan.map_err(|error| TestCaseError::fail(error.to_string()))?;
    knows_its_tables(&plan, inserted.explain().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_knows_each_table_that_the_server_touches() {
    let db = database().await;
    let runtime = tokio::runtime::Handle::current();
    let checked = db.clone();
    let outcome = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 200,
            failure_persistence: None,
            ..Config::default()
        };
        let cases = (proptest::collection::vec(step(), 0..5), 0..5_usize);
        TestRunner::new(config).run(&cases, |(steps, form)| {
            runtime.block_on(change(&checked, &steps, form))
        })
    });
    outcome.await.unwrap().unwrap();
    assert_eq!(db.from("users").count().await.unwrap(), 3);
}

#[tokio::test]
async fn of_a_view_its_name_is_known_and_of_raw_text_that_there_is_some() {
    let db = database().await;
    db.execute_script("create view adults as select * from users where age > 17")
        .await
        .unwrap();
    let query = db.from("adults");
    let plan = query.clone().build().unwrap();
    let read: Vec<_> = plan
        .tables_read()
        .map(|table| table.name.as_str())
        .collect();
    assert_eq!((read, plan.has_raw()), (vec!["adults"], false));
    let explained = query.explain().await.unwrap();
    assert_eq!(
        explained.root().table(),
        Some("users"),
        "what the view reads"
    );
    let hidden = db
        .from("users")
        .where_raw(raw!("id in (select user_id from posts)"));
    assert!(hidden.build().unwrap().has_raw());
}

/// Asks the server to parse and plan it; the statement's own words in the error.
async fn prepare(db: &Db, steps: &[Step]) -> Result<(), TestCaseError> {
    // With a join, plain names would be of two tables.
    let joined = steps.iter().any(|step| matches!(step, Step::Join(_)));
    let steps: Vec<Step> = steps
        .iter()
        .filter(|step| !(joined && matches!(step, Step::Order(0, ..))))
        .cloned()
        .collect();
    let query = built(db.query_builder(), &steps);
    let plan = query
        .clone()
        .build()
        .map_err(|error| TestCaseError::fail(error.to_string()))?;
    let sql = plan.sql().to_owned();
    let prepared = query.clone().dry_run().await;
    prop_assert!(prepared.is_ok(), "{sql}\n{:?}", prepared.err());
    knows_its_tables(&plan, query.explain().await)?;
    let counted = built(db.query_builder(), &steps)
        .select(count_all())
        .reorder();
    if !steps
        .iter()
        .any(|step| matches!(step, Step::Union(..) | Step::Lock(_)))
    {
        prop_assert!(counted.dry_run().await.is_ok(), "{sql}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_takes_whatever_is_put_together() {
    let db = database().await;
    let runtime = tokio::runtime::Handle::current();
    let checked = db.clone();
    let outcome = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: 300,
            failure_persistence: None,
            ..Config::default()
        };
        let steps = proptest::collection::vec(step(), 0..8);
        TestRunner::new(config).run(&steps, |steps| runtime.block_on(prepare(&checked, &steps)))
    });
    outcome.await.unwrap().unwrap();
    // Nothing that was asked for has changed anything.
    assert_eq!(db.from("users").count().await.unwrap(), 3);
}
