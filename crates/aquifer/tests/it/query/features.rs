//! The wider parts of SELECT, each run by the server.

use aquifer::query::{self, JoinKind, Nulls, all, any, col, count_all, lower, not};
use aquifer::raw;

use super::database;

#[tokio::test]
async fn joins_of_all_kinds() {
    let db = database().await;
    let users = || {
        db.from("users as u")
            .select(("u.name", count_all().alias("n")))
            .group_by(["u.name"])
    };
    let inner = users()
        .inner_join("posts as p", "p.user_id", "=", "u.id")
        .get()
        .await
        .unwrap();
    assert_eq!(inner.len(), 2);
    let left = users()
        .left_join("posts as p", "p.user_id", "=", "u.id")
        .get()
        .await
        .unwrap();
    assert_eq!(left.len(), 3);
    let right = users()
        .right_join("posts as p", "p.user_id", "=", "u.id")
        .get()
        .await
        .unwrap();
    assert_eq!(right.len(), 2);
    let full = users()
        .full_join("posts as p", "p.user_id", "=", "u.id")
        .get()
        .await
        .unwrap();
    assert_eq!(full.len(), 3);
    assert_eq!(
        db.from("users").cross_join("posts").count().await.unwrap(),
        90
    );
    let using = db
        .from("users")
        .join_using(JoinKind::Inner, "posts", ["id"])
        .count();
    assert_eq!(using.await.unwrap(), 3);
    let newest = query::from("posts")
        .select("title")
        .where_column("posts.user_id", "=", "u.id")
        .order_by("id", "desc")
        .limit(2);
    let lateral = db
        .from("users as u")
        .join_lateral(JoinKind::Left, newest, "newest")
        .select(("u.name", "newest.title"));
    assert_eq!(lateral.get().await.unwrap().len(), 5);
    let by_hand = db.from("users as u").join_raw(
        JoinKind::Inner,
        raw!("select {}::bigint as id", 2_i64),
        "x",
        col("x.id").eq(col("u.id")),
    );
    assert_eq!(by_hand.count().await.unwrap(), 1);
}

#[tokio::test]
async fn conditions_of_all_kinds() {
    let db = database().await;
    let users = || db.from("users");
    let count =
        async |query: query::QueryBuilder<query::Attached<'_>>| query.count().await.unwrap();
    assert_eq!(count(users().where_between("age", 30, 40)).await, 1);
    assert_eq!(count(users().where_not_between("age", 30, 40)).await, 1);
    assert_eq!(count(users().where_("age", "between", [30, 60])).await, 2);
    assert_eq!(count(users().where_("id", "not in", vec![1, 2])).await, 1);
    assert_eq!(
        count(users().where_not_null("age").where_null("email")).await,
        1
    );
    assert_eq!(count(users().where_("active", "is", true)).await, 2);
    assert_eq!(
        count(users().where_("age", "is distinct from", 30)).await,
        2
    );
    assert_eq!(
        count(users().where_not(|not| not.where_("id", "=", 1).or_where("id", "=", 2))).await,
        1
    );
    assert_eq!(count(users().where_("name", "~*", "^a")).await, 1);
    assert_eq!(count(users().where_("mood", "=", "cross")).await, 1);
    assert_eq!(
        count(users().where_expr(any([col("id").eq(1), col("age").is_null()]))).await,
        2
    );
    assert_eq!(
        count(users().where_expr(all([not(col("id").eq(1)), lower("name").eq("bob")]))).await,
        1
    );
    let posts = || query::from("posts").where_column("posts.user_id", "=", "users.id");
    assert_eq!(count(users().where_exists(posts())).await, 2);
    assert_eq!(count(users().where_not_exists(posts())).await, 1);
    let ids = || query::from("posts").select("user_id").distinct();
    assert_eq!(count(users().where_in_query("id", ids())).await, 2);
    assert_eq!(count(users().where_not_in_query("id", ids())).await, 1);
    let average = query::from("users").select(query::avg("age"));
    assert_eq!(count(users().where_("age", ">", average)).await, 1);
}

#[tokio::test]
async fn orders_distincts_and_ties() {
    let db = database().await;
    let ages = db.from("users").order_by_nulls("age", "desc", Nulls::Last);
    assert_eq!(
        ages.pluck::<Option<i32>>("age").await.unwrap(),
        [Some(50), Some(30), None]
    );
    let first = db
        .from("posts")
        .distinct_on(["user_id"])
        .order_by("user_id", "asc")
        .order_by("views", "desc");
    assert_eq!(first.clone().get().await.unwrap().len(), 2);
    assert_eq!(first.count().await.unwrap(), 2);
    let ties = db
        .from("users")
        .select("mood")
        .order_by("mood", "asc")
        .limit(1)
        .with_ties();
    assert_eq!(ties.get().await.unwrap().len(), 2);
    let sorted = db
        .from("users")
        .sortable(["name", "age"], "name", "desc")
        .pluck::<String>("name")
        .await
        .unwrap();
    assert_eq!(sorted[0], "Cid");
    assert!(
        db.from("users")
            .sortable(["name"], "email", "asc")
            .get()
            .await
            .is_err()
    );
    let raw = db
        .from("users")
        .order_by_raw("length(name), name desc nulls last")
        .get()
        .await
        .unwrap();
    assert_eq!(raw.len(), 3);
}

#[tokio::test]
async fn queries_in_front_and_taken_together() {
    let db = database().await;
    let recent = query::from("posts").where_("views", ">", 28);
    let named = db
        .from("recent")
        .with_materialized("recent", recent, true)
        .count();
    assert_eq!(named.await.unwrap(), 2);
    let start = query::from("posts")
        .select(("id", "views"))
        .where_("id", "=", 1);
    let next = query::from("posts as p")
        .select(("p.id", "p.views"))
        .join("chain as c", "p.id", "=", col("c.id").op("+", 1))
        .where_("p.id", "<=", 5);
    let chain = db
        .from("chain")
        .with_recursive("chain", start.union_all(next))
        .pluck::<i64>("id")
        .await
        .unwrap();
    assert_eq!(chain, [1, 2, 3, 4, 5]);
    let ids = |from: i64, to: i64| {
        query::from("posts")
            .select("id")
            .where_between("id", from, to)
    };
    let base = || db.from("posts").select("id").where_between("id", 1, 10);
    assert_eq!(base().union(ids(5, 15)).count().await.unwrap(), 15);
    assert_eq!(base().intersect(ids(5, 15)).count().await.unwrap(), 6);
    assert_eq!(base().except(ids(5, 15)).get().await.unwrap().len(), 4);
    let of_query = db
        .query_builder()
        .from((ids(1, 3), "few"))
        .order_by("few.id", "desc")
        .pluck::<i64>("id")
        .await
        .unwrap();
    assert_eq!(of_query, [3, 2, 1]);
}

#[tokio::test]
async fn rows_are_locked_and_skipped() {
    let db = database().await;
    let tx = db.begin().await.unwrap();
    let job = tx
        .from("posts")
        .order_by("id", "asc")
        .limit(1)
        .for_update()
        .skip_locked();
    assert_eq!(
        job.first()
            .await
            .unwrap()
            .unwrap()
            .get::<i64>("id")
            .unwrap(),
        1
    );
    let other = db.begin().await.unwrap();
    let next = other
        .from("posts as p")
        .join("users as u", "u.id", "=", "p.user_id")
        .select("p.id")
        .order_by("p.id", "asc");
    let next = next
        .limit(1)
        .for_no_key_update()
        .lock_of(["p"])
        .skip_locked()
        .first()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(next.get::<i64>("id").unwrap(), 2);
    let refused = other
        .from("posts")
        .where_("id", "=", 1)
        .for_share()
        .no_wait()
        .get()
        .await
        .unwrap_err();
    assert!(refused.sqlstate().is_some(), "{refused}");
    drop(other);
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn optional_parts_and_shared_ones() {
    let db = database().await;
    let find = |name: Option<&'static str>, adults: bool| {
        db.from("users")
            .when(name, |users, name| users.where_("name", "=", name))
            .when_true(adults, |users| users.where_("age", ">=", 18))
            .scope(|users| users.where_("active", "=", true))
    };
    assert_eq!(find(None, false).count().await.unwrap(), 2);
    assert_eq!(find(Some("Bob"), false).count().await.unwrap(), 1);
    assert_eq!(find(None, true).count().await.unwrap(), 1);
}
