//! The query builder's blocks of the first README, with the results that their comments promise.

use std::time::SystemTime;

use aquifer::{Db, Error, FromRow, QueryBuilder, Row, Session, values};

use super::database;

#[tokio::test]
async fn the_wrappers_block_returns_the_ten_newest_posts_of_a_user() {
    let db = database().await;
    let user_id = 2_i64;
    let posts = db
        .query_builder()
        .from("posts")
        .where_("user_id", "=", user_id)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await
        .unwrap();
    assert_eq!(posts.len(), 10);
    let ids: Vec<i64> = posts.iter().map(|post| post.get("id").unwrap()).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    for post in &posts {
        assert_eq!(post.get::<i64>("user_id").unwrap(), user_id);
    }
}

#[tokio::test]
async fn the_builders_block_selects_inserts_updates_and_deletes() {
    let db = database().await;

    let qb = QueryBuilder::new(&db);
    let users = qb
        .from("users")
        .select(("id", "name", "email"))
        .where_("active", "=", true)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await
        .unwrap();
    assert_eq!(users.len(), 2);
    let columns = users[0].columns().list();
    let columns: Vec<_> = columns.iter().map(|column| column.name()).collect();
    assert_eq!(columns, ["id", "name", "email"]);

    // The inserted row.
    let user: Row = db
        .from("users")
        .insert(values! { name: "John", email: "john@example.com", active: true })
        .await
        .unwrap();
    let id: i64 = user.get("id").unwrap();
    assert_eq!(user.get::<String>("name").unwrap(), "John");

    // The number of rows.
    let affected: u64 = db
        .from("users")
        .where_("id", "=", id)
        .update(values! { name: "John Doe", updated_at: SystemTime::now() })
        .await
        .unwrap();
    assert_eq!(affected, 1);
    let name: Option<String> = db
        .from("users")
        .where_("id", "=", id)
        .value("name")
        .await
        .unwrap();
    assert_eq!(name.as_deref(), Some("John Doe"));

    // The number of rows.
    let affected: u64 = db
        .from("users")
        .where_("id", "=", id)
        .delete()
        .await
        .unwrap();
    assert_eq!(affected, 1);
    assert!(
        !db.from("users")
            .where_("id", "=", id)
            .exists()
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn in_a_transaction_the_builder_uses_its_connection() {
    let db = database().await;
    let outcome = db
        .with_transaction(async |tx| {
            tx.from("users").insert(values! { name: "Dan" }).await?;
            // Calls on the handle join the transaction.
            assert_eq!(db.from("users").count().await?, 4);
            Err::<(), Error>(
                db.query_one::<Row>("select 1 where false", ())
                    .await
                    .unwrap_err(),
            )
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!(db.from("users").count().await.unwrap(), 3);
}

#[derive(Debug, FromRow, PartialEq)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

/// All that can be done with rows that were found.
async fn verbs(db: &Db) {
    let active = || {
        db.from("users")
            .where_("active", "=", true)
            .order_by("id", "asc")
    };
    let users: Vec<User> = active().get_as().await.unwrap();
    assert_eq!(users.len(), 2);
    let first: Option<User> = active().first_as().await.unwrap();
    assert_eq!(first, users.into_iter().next());
    assert!(
        active()
            .where_("id", "=", 99)
            .first()
            .await
            .unwrap()
            .is_none()
    );
    let names: Vec<String> = active().pluck("name").await.unwrap();
    assert_eq!(names, ["Ann", "Bob"]);
    let by_id = active().key_by::<i64>("id").await.unwrap();
    assert_eq!(by_id[&2].get::<&str>("name").unwrap(), "Bob");
    assert_eq!(active().count().await.unwrap(), 2);
    assert!(active().exists().await.unwrap());
    let oldest: Option<i32> = db.from("users").aggregate("max", "age").await.unwrap();
    assert_eq!(oldest, Some(50));
    let none: Option<i64> = db
        .from("users")
        .where_("id", "=", 0)
        .aggregate("sum", "age")
        .await
        .unwrap();
    assert_eq!(none, None);
}

#[tokio::test]
async fn the_final_verbs_give_what_their_names_say() {
    let db = database().await;
    verbs(&db).await;
    let rows = db
        .query_builder()
        .raw("select count(*) as n from users")
        .await
        .unwrap();
    assert_eq!(rows[0].get::<i64>("n").unwrap(), 3);
}

#[tokio::test]
async fn a_builder_is_never_shared_and_may_be_cloned() {
    let db = database().await;
    let base = db.from("users").where_("active", "=", true);
    let ann = base.clone().where_("name", "=", "Ann");
    assert_eq!(ann.count().await.unwrap(), 1);
    assert_eq!(base.clone().count().await.unwrap(), 2);
    assert_eq!(base.new_query().from("users").count().await.unwrap(), 3);
}

#[tokio::test]
async fn rows_are_streamed_without_holding_them_all() {
    let db = database().await;
    let mut posts = db.from("posts").order_by("id", "asc").stream_as::<(i64,)>();
    // A stream of everything has all columns; the first is the id.
    let mut posts = posts.as_mut().await.unwrap();
    let mut seen = 0;
    while let Some((id,)) = posts.next().await.unwrap() {
        seen += 1;
        assert_eq!(id, seen);
    }
    assert_eq!(seen, 30);
}
