//! Whatever a query reads, by views, policies and tables behind tables too: the server's plan names
//! nothing that its result does not depend on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aquifer::query::{self, QueryBuilder, SubQuery};
use aquifer::{CacheEntry, Config, Db, Session};
use aquifer_testkit::{Postgres, Redis as Server};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

use super::super::support;

const HOUR: Duration = Duration::from_secs(3_600);

const SCHEMA: &str = "
    create table a (id bigint primary key, n bigint not null);
    create table b (id bigint primary key, n bigint not null);
    create table c (id bigint primary key, n bigint not null);
    create table parent (id bigint, n bigint not null);
    create table child (extra text) inherits (parent);
    create table parts (id bigint, n bigint not null) partition by range (id);
    create table parts_low partition of parts for values from (minvalue) to (100);
    create table parts_high partition of parts for values from (100) to (maxvalue);
    insert into a select n, n % 5 from generate_series(0, 9) n;
    insert into b select * from a;
    insert into c select * from a;
    insert into child select * from a;
    insert into parts select * from a;
    create view joined as select a.id, b.n from a left join b on b.n = a.id;
    create view layered as select id, n from joined where exists (select from c where c.id = joined.n);
    create view united as select id, n from parts union all select id, n from parent;
    create materialized view frozen as select id, n from a;
    create table guarded (id bigint primary key, n bigint not null);
    alter table guarded enable row level security;
    alter table guarded force row level security;
    insert into guarded select * from a;
    create policy only_some on guarded using (n in (select id from c));";

const SOURCES: [&str; 10] = [
    "a", "b", "c", "parent", "parts", "joined", "layered", "united", "frozen", "guarded",
];
const NAMES: [&str; 2] = ["one", "two"];

#[derive(Clone, Debug)]
struct Shape {
    source: usize,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Key(i64),
    Above(i64),
    Join(Shape),
    Exists(Shape),
    Outside(Shape),
    With(Shape),
    Union(Shape),
    Scalar(Shape),
}

fn shape() -> impl Strategy<Value = Shape> {
    let of = |steps| (0..SOURCES.len(), steps).prop_map(|(source, steps)| Shape { source, steps });
    let condition = || {
        prop_oneof![
            (0..9_i64).prop_map(Step::Key),
            (0..9_i64).prop_map(Step::Above)
        ]
    };
    let leaf = of(proptest::collection::vec(condition(), 0..2).boxed());
    leaf.prop_recursive(3, 6, 2, move |inner| {
        let step = prop_oneof![
            condition(),
            inner.clone().prop_map(Step::Join),
            inner.clone().prop_map(Step::Exists),
            inner.clone().prop_map(Step::Outside),
            inner.clone().prop_map(Step::With),
            inner.clone().prop_map(Step::Union),
            inner.prop_map(Step::Scalar),
        ];
        of(proptest::collection::vec(step, 1..3).boxed())
    })
}

/// The query, whose source is called `q`.
fn built<S>(query: QueryBuilder<S>, shape: &Shape) -> QueryBuilder<S> {
    let query = query.select(("q.id", "q.n"));
    let steps = shape.steps.iter().zip(NAMES);
    steps.fold(query, |query, (step, name)| match step {
        Step::Key(id) => query.where_("q.id", "=", *id),
        Step::Above(n) => query.where_("q.n", ">", *n),
        Step::Join(shape) => {
            query.left_join((inner(shape), name), format!("{name}.id"), "=", "q.n")
        }
        Step::Exists(shape) => query.where_exists(inner(shape)),
        Step::Outside(shape) => query.where_not_in_query("q.n", ids(shape)),
        Step::With(shape) => query
            .with(name, inner(shape))
            .where_in_query("q.n", query::from(name).select("id")),
        Step::Union(shape) => query.union(inner(shape)),
        Step::Scalar(shape) => query.where_("q.n", "=", ids(shape).limit(1)),
    })
}

fn inner(shape: &Shape) -> SubQuery {
    built(query::from(source(shape)), shape)
}

fn ids(shape: &Shape) -> SubQuery {
    query::from((inner(shape), "q")).select("q.id")
}

fn source(shape: &Shape) -> String {
    format!("{} as q", SOURCES[shape.source])
}

/// A table and those above it, by the names of which its changes are told too.
async fn told_as(db: &Db, table: &str) -> Vec<String> {
    let sql = "with recursive up (id) as (
            select $1::text::regclass::oid
            union select inhparent from pg_inherits join up on inhrelid = up.id)
        select id::regclass::text from up";
    db.query_column(sql, (table,)).await.unwrap()
}

/// Whether it is kept at all: that there is no row of a key is not.
async fn depends_on_what_is_planned(
    db: &Db,
    shape: &Shape,
    key: &str,
) -> Result<bool, TestCaseError> {
    let query = || built(db.from(source(shape)), shape);
    let kept = query().cache_as(key.to_owned(), HOUR).get().await;
    prop_assert!(kept.is_ok(), "{kept:?}");
    let redis = db.cache().redis().unwrap();
    let entry = CacheEntry::read(redis, &Config::new(), key).await.unwrap();
    let stamps: BTreeSet<&str> = entry
        .stamps
        .iter()
        .map(|stamp| stamp.name.as_str())
        .collect();
    let sql = query().to_sql().unwrap();
    if stamps.is_empty() {
        return Ok(false);
    }
    for step in query().explain().await.unwrap().steps() {
        let Some(table) = step.table() else {
            continue;
        };
        let names = told_as(db, table).await;
        let depends = names.iter().any(|name| {
            let (whole, row) = (format!("aquifer#t:{name}"), format!("aquifer#r:{name}:"));
            let mut stamps = stamps.iter();
            stamps.any(|stamp| *stamp == whole || stamp.starts_with(&row))
        });
        prop_assert!(
            depends,
            "{table} is read by {sql}, which depends on {stamps:?}"
        );
    }
    Ok(true)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_depends_on_all_that_the_server_plans_to_read() {
    let (server, place) = (Server::start(), Postgres::shared().create_database());
    let config = || support::config(place.url.clone());
    let owner = Db::connect_with(&config()).await.unwrap();
    owner.execute_script(SCHEMA).await.unwrap();
    owner.close().await.unwrap();
    // Policies don't hold for a superuser.
    let name = &place.name;
    let script = format!(
        "create role \"{name}\"; grant select on all tables in schema public to \"{name}\"; \
         alter database \"{name}\" set role = '{name}'"
    );
    Postgres::shared().psql_at(&place.url, &script).unwrap();
    let db = Db::connect_with(&config().redis_url(server.url()))
        .await
        .unwrap();
    let (runtime, checked) = (tokio::runtime::Handle::current(), db.clone());
    let kept = Arc::new(AtomicUsize::new(0));
    let (counted, number) = (Arc::clone(&kept), AtomicUsize::new(0));
    let outcome = tokio::task::spawn_blocking(move || {
        let cases = Cases {
            cases: 200,
            failure_persistence: None,
            ..Cases::default()
        };
        TestRunner::new(cases).run(&shape(), |shape| {
            let key = number.fetch_add(1, Ordering::Relaxed).to_string();
            let checked = depends_on_what_is_planned(&checked, &shape, &key);
            counted.fetch_add(usize::from(runtime.block_on(checked)?), Ordering::Relaxed);
            Ok(())
        })
    });
    outcome.await.unwrap().unwrap();
    assert!(kept.load(Ordering::Relaxed) > 100, "{kept:?}");
    db.close().await.unwrap();
}
