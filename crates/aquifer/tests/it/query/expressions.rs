//! Documents, arrays, ranges, full text, and what else a query computes.

use aquifer::query::{
    self, call, case, coalesce, col, count_all, json_object, json_text, jsonb_agg, now, val,
    web_search, words,
};
use aquifer::types::{Json, Range};
use aquifer::{Direction, Session, raw, values};

use super::database;

#[tokio::test]
async fn documents() {
    let db = database().await;
    let users = || db.from("users");
    let bonn = serde_json::json!({ "address": { "city": "Bonn" } });
    assert_eq!(
        users()
            .where_("meta", "@>", Json(bonn))
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        users()
            .where_("meta", "?", "address")
            .count()
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        users()
            .where_("meta", "?|", vec!["x", "address"])
            .count()
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        users()
            .where_json("meta", ["address", "city"], "like", "K%")
            .count()
            .await
            .unwrap(),
        1
    );
    let hostile = users().where_json("meta", ["a}',1=1--", "\"'"], "=", "x");
    assert_eq!(hostile.count().await.unwrap(), 0);
}

#[tokio::test]
async fn arrays_and_ranges() {
    let db = database().await;
    let users = || db.from("users");
    assert_eq!(
        users()
            .where_("tags", "&&", vec!["a", "z"])
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        users()
            .where_("tags", "@>", vec!["b"])
            .count()
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        users()
            .where_expr(val("a").eq_any(col("tags")))
            .count()
            .await
            .unwrap(),
        1
    );
    db.execute_script("create table spans (during int4range not null)")
        .await
        .unwrap();
    let span = |from: i32, to: i32| Range::from(from..to);
    db.from("spans")
        .insert(values! { during: span(1, 5) })
        .await
        .unwrap();
    assert_eq!(
        db.from("spans")
            .where_("during", "&&", span(4, 9))
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("spans")
            .where_("during", "@>", span(2, 9))
            .count()
            .await
            .unwrap(),
        0
    );
}

#[tokio::test]
async fn full_text_search_takes_what_was_typed() {
    let db = database().await;
    let found = |typed: &str| {
        db.from("posts")
            .where_search("title", "english", typed.to_owned())
            .count()
    };
    assert_eq!(found("post -7").await.unwrap(), 29);
    assert_eq!(found("\"post 7\"").await.unwrap(), 1);
    assert_eq!(found("'; drop table posts; --").await.unwrap(), 0);
    let rank = call(
        "ts_rank",
        [words("english", "title"), web_search("english", "post")],
    );
    let ranked = db
        .from("posts")
        .select(("id", rank.alias("rank")))
        .order_by(col("rank"), Direction::Desc)
        .limit(1);
    assert_eq!(ranked.get().await.unwrap().len(), 1);
}

#[tokio::test]
async fn groups_and_cases_as_results() {
    let db = database().await;
    let kind = case(
        [
            (col("views").is(">", 20), "much"),
            (col("views").is(">", 10), "some"),
        ],
        "few",
    );
    let rows = db
        .from("posts")
        .select((
            kind.alias("kind"),
            count_all().alias("n"),
            count_all().filter(col("user_id").eq(1)).alias("of_one"),
            query::count("user_id").distinct().alias("users"),
            jsonb_agg("id").ordered("id", Direction::Desc).alias("ids"),
        ))
        .group_by([raw!("1")])
        .having(count_all(), ">", 5)
        .order_by("kind", "asc")
        .get()
        .await
        .unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[1].get::<&str>("kind").unwrap(), "much");
    assert_eq!(
        (
            rows[1].get::<i64>("n").unwrap(),
            rows[1].get::<i64>("of_one").unwrap()
        ),
        (10, 5)
    );
}

#[tokio::test]
async fn documents_and_other_expressions_as_results() {
    let db = database().await;
    let document = json_object([
        ("name", col("name")),
        ("seen", val(1)),
        ("city", json_text("meta", ["address", "city"])),
    ]);
    let value: Option<serde_json::Value> = db
        .from("users")
        .where_("id", "=", 1)
        .value(document)
        .await
        .unwrap();
    assert_eq!(
        value.unwrap(),
        serde_json::json!({ "name": "Ann", "seen": 1, "city": "Bonn" })
    );
    let fallback: Vec<i32> = db
        .from("users")
        .order_by("id", "asc")
        .pluck(coalesce((col("age"), val(-1))))
        .await
        .unwrap();
    assert_eq!(fallback, [30, -1, 50]);
    let later: Vec<bool> = db
        .from("posts")
        .limit(1)
        .pluck(now().op(">", col("created_at")))
        .await
        .unwrap();
    assert_eq!(later.len(), 1);
}

#[tokio::test]
async fn values_alone_have_their_own_types() {
    let db = database().await;
    let row = db
        .query_builder()
        .select((
            val(1).alias("a"),
            val("x").alias("b"),
            val(vec![1_i64]).alias("c"),
            val(1.5).alias("d"),
        ))
        .first()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.get::<i32>("a").unwrap(), 1);
    assert_eq!(row.get::<Vec<i64>>("c").unwrap(), [1]);
}
