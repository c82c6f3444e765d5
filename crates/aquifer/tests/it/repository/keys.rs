//! Rows with those that belong to them, whatever type the columns have that connect them.

use aquifer::entity::*;
use aquifer::types::Numeric;
use aquifer::{Db, ErrorKind, Repo, Repository, Session};
use serde::Deserialize;

use crate::support;

/// Two tables connected by a column of a type: `a` has two rows of the other, `b` has none, and one
/// row of the other belongs to nobody.
async fn connected(ty: &str, a: &str, b: &str) -> Db {
    let db = support::db_of(2).await;
    let tables = format!(
        "create type app_mood as enum ('calm', 'wild');
         create domain app_code as text check (value <> '');
         create table owners (id {ty} primary key, name text not null);
         create table things (id int primary key, owner_id {ty}, label text not null);
         insert into owners values ({a}, 'a'), ({b}, 'b');
         insert into things values (1, {a}, 'one'), (2, null, 'nobody''s'), (3, {a}, 'two')"
    );
    let sql = aquifer::AssertSafe(tables);
    db.execute_script(sql).await.unwrap();
    db
}

macro_rules! connected {
    ($name:ident: $key:ty, $ty:literal, $a:literal, $b:literal, by_load: $by_load:literal) => {
        mod $name {
            use super::*;

            #[derive(Clone, Debug, PartialEq, Entity)]
            #[entity(table = "owners", has_many(THINGS = Thing::OWNER_ID))]
            struct Owner {
                #[entity(key)]
                id: $key,
                name: String,
            }

            #[derive(Clone, Debug, PartialEq, Entity, Deserialize)]
            #[entity(table = "things")]
            struct Thing {
                #[entity(key)]
                id: i32,
                #[entity(belongs_to = Owner::ID)]
                #[serde(skip)]
                owner_id: Option<$key>,
                label: String,
            }

            fn labels(things: &[Thing]) -> Vec<&str> {
                things.iter().map(|thing| &*thing.label).collect()
            }

            #[tokio::test]
            async fn rows_come_with_theirs() {
                let db = connected($ty, $a, $b).await;
                let query = Owner::query().order_by(Owner::NAME.asc());
                let owners = query.clone().with_many(Owner::THINGS).fetch(&db).await;
                let owners = owners.unwrap();
                let names: Vec<_> = owners.iter().map(|owner| &*owner.row.name).collect();
                assert_eq!(names, ["a", "b"]);
                assert_eq!(labels(&owners[0].related), ["one", "two"]);
                assert_eq!(labels(&owners[1].related), [""; 0]);

                let (all, things): (Repo<Owner>, Repo<Thing>) = (db.repo(), db.repo());
                let rows = all.fetch(query).await.unwrap();
                for row in &rows {
                    let found = all.find(row.id.clone()).await.unwrap();
                    assert_eq!(found.as_ref(), Some(row));
                }
                let keys: Vec<_> = rows.iter().rev().map(|row| row.id.clone()).collect();
                let many = all.find_many(keys).await;
                let loaded = Owner::THINGS.load(&rows, &things).await;
                let every = things.fetch(Thing::query().order_by(Thing::ID.asc())).await;
                let every = every.unwrap();
                let back = Thing::OWNER.load_one(&every, &all).await;
                if !$by_load {
                    // Refused rather than wrong.
                    for error in [loaded.unwrap_err(), back.unwrap_err(), many.unwrap_err()] {
                        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
                    }
                    return support::assert_whole(&db).await;
                }
                let many = many.unwrap();
                let named: Vec<_> = many.iter().flatten().map(|row| &*row.name).collect();
                assert_eq!(named, ["b", "a"]);
                let loaded = loaded.unwrap();
                assert_eq!(labels(&loaded[0]), ["one", "two"]);
                assert_eq!(labels(&loaded[1]), [""; 0]);
                let back = back.unwrap();
                let back: Vec<_> = back
                    .iter()
                    .map(|owner| owner.as_ref().map(|owner| &*owner.name))
                    .collect();
                assert_eq!(back, [Some("a"), None, Some("a")]);
                support::assert_whole(&db).await;
            }
        }
    };
}

connected!(uuids: String, "uuid", "'0000000A-0000-4000-8000-000000000000'", "'0000000b-0000-4000-8000-000000000000'", by_load: true);
connected!(texts: String, "text", "'it''s \"a\" \\, ä'", "''", by_load: true);
connected!(padded: String, "char(4)", "'a'", "'b'", by_load: true);
connected!(domains: String, "app_code", "'a'", "'b'", by_load: true);
connected!(labels_of_an_enum: String, "app_mood", "'wild'", "'calm'", by_load: true);
connected!(small_numbers: i16, "smallint", "-32768", "32767", by_load: true);
connected!(large_numbers: i64, "bigint", "-9223372036854775808", "9007199254740993", by_load: true);
connected!(truth: bool, "boolean", "true", "false", by_load: true);
connected!(bytes: Vec<u8>, "bytea", "'\\x00ff'", "''", by_load: true);
connected!(days: aquifer::types::Date, "date", "'infinity'", "'0044-03-15 BC'", by_load: true);
connected!(numerics: Numeric, "numeric", "1.50", "2", by_load: false);

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "orders", has_many(LINES = Line::ORDER_ID))]
struct Order {
    #[entity(key)]
    id: i64,
}

#[derive(Clone, Debug, PartialEq, Entity, Deserialize)]
#[entity(table = "lines", key(order_id, place))]
struct Line {
    order_id: i64,
    place: String,
}

#[tokio::test]
async fn rows_with_a_key_of_several_columns_are_in_its_order() {
    let db = support::db_of(2).await;
    let tables = "
        create table orders (id bigint primary key);
        create table lines (order_id bigint, place text, primary key (order_id, place));
        insert into orders values (1), (2), (3);
        insert into lines values (2, 'b'), (1, 'a'), (2, 'a'), (2, 'B')";
    db.execute_script(tables).await.unwrap();
    let order = Order::query().order_by(Order::ID.asc());
    let rows = order.clone().with_many(Order::LINES).fetch(&db);
    let rows = rows.await.unwrap();
    let places: Vec<_> = rows.iter().map(|order| order.related.clone()).collect();
    let lines: Repo<Line> = db.repo();
    let orders = order.fetch(&db).await.unwrap();
    let loaded = Order::LINES.load(&orders, &lines).await.unwrap();
    assert_eq!(places, loaded);
    assert_eq!([0, 1, 2].map(|at| places[at].len()), [1, 3, 0]);
    let keys = [(2, "a"), (3, "a"), (2, "B"), (2, "a")];
    let keys = keys.map(|(order, place)| (order, place.to_owned()));
    let found = lines.find_many(keys.into()).await.unwrap();
    let found = found
        .iter()
        .map(|line| line.as_ref().map(|line| &*line.place));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [Some("a"), None, Some("B"), Some("a")]
    );
}
