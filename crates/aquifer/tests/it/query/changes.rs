//! Inserts, updates and deletes in all their forms.

use aquifer::query::{self, Record, col, excluded, json_set, literal, now};
use aquifer::types::Json;
use aquifer::{Encode, Session, values};

use super::database;

#[derive(Clone, Copy, Encode)]
#[aquifer(rename_all = "lowercase")]
enum Mood {
    Cross,
}

#[tokio::test]
async fn many_rows_are_one_statement_of_one_text() {
    let db = database().await;
    let row = |number: i64| {
        values! {
            name: format!("user {number}"),
            email: (number % 2 == 0).then(|| format!("{number}@example.com")),
            age: number,
            mood: Mood::Cross,
            score: number,
            meta: Json(serde_json::json!({ "number": number })),
            created_at: "2026-01-02 03:04:05+00",
        }
    };
    let few = db
        .from("users")
        .insert_many((0..2).map(row))
        .build()
        .unwrap();
    let many = db
        .from("users")
        .insert_many((0..500).map(row))
        .build()
        .unwrap();
    assert_eq!(few.sql(), many.sql());
    assert_eq!(many.parameters(), 7);
    assert_eq!(
        db.from("users")
            .insert_many((0..500).map(row))
            .await
            .unwrap(),
        500
    );
    let without_email = db
        .from("users")
        .where_null("email")
        .where_("mood", "=", Mood::Cross);
    assert_eq!(without_email.count().await.unwrap(), 250);
    let again = db
        .from("users")
        .insert_many((0..4).map(row))
        .on_conflict(["email"])
        .do_nothing();
    assert_eq!(again.rows().await.unwrap().len(), 2);
}

#[tokio::test]
async fn conflicts_update_or_leave_the_row() {
    let db = database().await;
    let insert = || {
        db.from("users")
            .insert(values! { name: "Anna", email: "ann@example.com", age: 1 })
    };
    let updated = insert()
        .on_conflict(["email"])
        .do_update(["name"])
        .await
        .unwrap();
    assert_eq!(updated.get::<i64>("id").unwrap(), 1);
    assert_eq!(
        (updated.get("name").unwrap(), updated.get("age").unwrap()),
        ("Anna", 30)
    );
    let summed = insert()
        .on_conflict(["email"])
        .do_update_set(
            values! { age: col("users.age").op("+", excluded("age")), updated_at: now() },
        )
        .update_where(col("users.age").is("<", 100))
        .returning("age")
        .await
        .unwrap();
    assert_eq!(summed.get::<i32>("age").unwrap(), 31);
    let left = insert()
        .on_conflict(["email"])
        .do_nothing()
        .optional()
        .await
        .unwrap();
    assert!(left.is_none());
    let undecided = insert().on_conflict(["email"]).await.unwrap_err();
    assert!(undecided.to_string().contains("do_nothing"), "{undecided}");
}

#[tokio::test]
async fn a_partial_index_is_named_with_its_condition() {
    let db = database().await;
    db.execute_script("create unique index on posts (title) where views > 100")
        .await
        .unwrap();
    let insert = || {
        let row = values! { user_id: 1, title: "hit", views: 200, created_at: now() };
        db.from("posts")
            .insert(row)
            .on_conflict(["title"])
            .on_conflict_where(col("views").is(">", literal(100)))
            .do_update_set(values! { views: 300 })
            .returning(["id", "views"])
    };
    // More often than the server plans a statement for its values.
    for number in 0..8 {
        let row = insert().await.unwrap();
        let views = if number == 0 { 200 } else { 300 };
        assert_eq!(row.get::<i32>("views").unwrap(), views);
    }
    let with_value = db
        .from("posts")
        .insert(values! { user_id: 1, title: "hit", views: 200, created_at: now() })
        .on_conflict(["title"])
        .on_conflict_where(col("views").is(">", 100))
        .do_nothing()
        .optional();
    let error = with_value.await.unwrap_err().to_string();
    assert!(error.contains("literal"), "{error}");
    let by_text = db
        .from("posts")
        .insert(values! { user_id: 1, title: "hit2", views: 200, created_at: now() })
        .on_conflict(["title"])
        .on_conflict_where(aquifer::raw!("views > 100"))
        .do_nothing()
        .optional();
    assert!(by_text.await.unwrap().is_some());
}

#[tokio::test]
async fn defaults_and_queries_are_inserted() {
    let db = database().await;
    db.execute_script("create table log (id bigint generated always as identity, at timestamptz default now(), title text)").await.unwrap();
    let row = db.from("log").insert(Record::new()).await.unwrap();
    assert_eq!(row.get::<i64>("id").unwrap(), 1);
    let titles = query::from("posts")
        .select("title")
        .where_("views", "<=", 3);
    assert_eq!(
        db.from("log").insert_from(["title"], titles).await.unwrap(),
        3
    );
}

#[tokio::test]
async fn updates_take_expressions_and_other_tables() {
    let db = database().await;
    let changed = db
        .from("posts as p")
        .join("users as u", "u.id", "=", "p.user_id")
        .where_("u.name", "=", "Ann")
        .update(values! { title: col("u.name").op("||", col("p.title")), views: col("p.views").op("*", 2) })
        .returning(["p.title", "p.views"])
        .rows_as::<(String, i32)>()
        .await
        .unwrap();
    assert_eq!(changed.len(), 15);
    assert!(
        changed
            .iter()
            .all(|(title, views)| title.starts_with("Annpost") && views % 2 == 0)
    );
    let city = db
        .from("users")
        .where_("id", "=", 1)
        .update(values! { meta: json_set("meta", ["address", "city"], Json("Ulm")) });
    assert_eq!(city.await.unwrap(), 1);
    assert_eq!(
        db.from("users")
            .where_json("meta", ["address", "city"], "=", "Ulm")
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("users")
            .where_("id", "=", 1)
            .update(values! { age: query::default() })
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn counters_go_up_and_down() {
    let db = database().await;
    assert_eq!(
        db.from("posts")
            .where_("id", "=", 1)
            .increment("views", 5)
            .await
            .unwrap(),
        1
    );
    let after = db
        .from("posts")
        .where_("id", "=", 1)
        .decrement("views", 2)
        .returning("views");
    assert_eq!(after.rows_as::<(i32,)>().await.unwrap(), [(4,)]);
}

#[tokio::test]
async fn each_of_many_rows_gets_values_of_its_own() {
    let db = database().await;
    let rows =
        (1..=10_i64).map(|id| values! { id: id, title: format!("new {id}"), views: 100 + id });
    let changed = db
        .from("posts")
        .where_("user_id", "=", 1)
        .update_many(["id"], rows)
        .await
        .unwrap();
    assert_eq!(changed, 5);
    let titles: Vec<String> = db
        .from("posts")
        .where_("views", ">", 100)
        .order_by("id", "asc")
        .pluck("title")
        .await
        .unwrap();
    assert_eq!(titles, ["new 2", "new 4", "new 6", "new 8", "new 10"]);
}

#[tokio::test]
async fn what_a_change_returns_can_be_queried_further() {
    let db = database().await;
    let old = db
        .from("posts")
        .where_("views", "<", 4)
        .delete()
        .returning(["user_id"]);
    let counted = db
        .from("gone")
        .with_change("gone", old)
        .select(("user_id", query::count_all().alias("n")))
        .group_by(["user_id"])
        .order_by("user_id", "asc")
        .get_as::<(i64, i64)>()
        .await
        .unwrap();
    assert_eq!(counted, [(1, 1), (2, 2)]);
    assert_eq!(db.from("posts").count().await.unwrap(), 27);
}
