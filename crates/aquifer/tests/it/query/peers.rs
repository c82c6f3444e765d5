//! What fails in sea-query with its binder for tokio-postgres, one test each.

use aquifer::query::{self, FrameEdge, call, sum, window};
use aquifer::{Direction, ErrorKind, Session, values};

use super::database;

#[tokio::test]
async fn an_empty_list_finds_nothing_and_excludes_nothing() {
    let db = database().await;
    let none: Vec<i64> = Vec::new();
    assert_eq!(
        db.from("users")
            .where_in("id", none.clone())
            .count()
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        db.from("users")
            .where_not_in("id", none)
            .count()
            .await
            .unwrap(),
        3
    );
}

#[tokio::test]
async fn numbers_become_what_the_column_is() {
    let db = database().await;
    db.execute_script(
        "create table numbers (big bigint, normal int, small smallint, exact numeric, real real, double float8)",
    )
    .await
    .unwrap();
    db.from("numbers")
        .insert(values! { big: 1_i32, normal: 2_i64, small: 3_u8, exact: 4.5_f64, real: 5_i32, double: 6_u16 })
        .await
        .unwrap();
    let found = db
        .from("numbers")
        .where_("big", "=", 1_u8)
        .where_("normal", "=", 2_u64)
        .where_("small", "=", 3_i64)
        .where_("exact", "=", 4.5)
        .where_("double", ">", 5_i64)
        .count();
    assert_eq!(found.await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_column_cannot_hold_is_an_error_and_not_another_number() {
    let db = database().await;
    let error = db
        .from("users")
        .where_("id", "=", u64::MAX)
        .get()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(
        error.to_string().contains("u64") && error.to_string().contains("int8"),
        "{error}"
    );
    // The text shows which parameter that was, and no value.
    let filtered = db
        .from("users")
        .where_("name", "=", "hidden")
        .where_("age", ">", i64::MAX);
    let error = filtered.get().await.unwrap_err().to_string();
    assert!(
        error.contains("\"age\" > $2") && !error.contains("hidden"),
        "{error}"
    );
    let written = db
        .from("users")
        .where_("id", "=", 1)
        .update(values! { age: i64::MAX })
        .await;
    assert!(
        written
            .unwrap_err()
            .to_string()
            .contains("set \"age\" = $1")
    );
}

#[tokio::test]
async fn named_windows_stand_before_the_order_and_frames_are_numbers() {
    let db = database().await;
    let own = window()
        .order_by("id", Direction::Asc)
        .rows(FrameEdge::Preceding(1), FrameEdge::CurrentRow);
    let rows = db
        .from("posts")
        .select((
            "id",
            sum("views").over_named("w").alias("running"),
            sum("views").over(own).alias("two"),
            call("row_number", ()).over_named("w").alias("place"),
        ))
        .window(
            "w",
            window()
                .partition_by(["user_id"])
                .order_by("id", Direction::Asc),
        )
        .order_by("id", "desc")
        .limit(1)
        .get()
        .await
        .unwrap();
    assert_eq!(rows[0].get::<i64>("two").unwrap(), 59);
    assert_eq!(rows[0].get::<i64>("place").unwrap(), 15);
}

#[tokio::test]
async fn the_name_of_a_constraint_is_quoted() {
    let db = database().await;
    let hostile = "users_email_key\" DO NOTHING; --";
    let error = db
        .from("users")
        .insert(values! { name: "Eve", email: "ann@example.com" })
        .on_constraint(hostile)
        .do_nothing()
        .optional()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
    let kept = db
        .from("users")
        .insert(values! { name: "Eve", email: "ann@example.com" })
        .on_constraint("users_email_key")
        .do_nothing()
        .optional()
        .await
        .unwrap();
    assert!(kept.is_none());
}

#[tokio::test]
async fn comparisons_with_null_find_null() {
    let db = database().await;
    let none = None::<i32>;
    assert_eq!(
        db.from("users")
            .where_("age", "=", none)
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("users")
            .where_("age", "<>", none)
            .count()
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        db.from("users")
            .where_("age", "is", none)
            .count()
            .await
            .unwrap(),
        1
    );
    let less = db
        .from("users")
        .where_("age", "<", none)
        .count()
        .await
        .unwrap_err();
    assert!(less.to_string().contains("where_null"), "{less}");
}

#[tokio::test]
async fn rows_are_deleted_by_another_table() {
    let db = database().await;
    let gone = db
        .from("posts")
        .join("users", "users.id", "=", "posts.user_id")
        .where_("users.name", "=", "Bob")
        .delete()
        .returning(["posts.id"])
        .rows()
        .await
        .unwrap();
    assert_eq!(gone.len(), 15);
}

#[tokio::test]
async fn a_union_orders_the_whole() {
    let db = database().await;
    let names: Vec<String> = db
        .from("users")
        .select("name")
        .where_("id", "=", 1)
        .union_all(
            query::from("users")
                .select("name")
                .where_("id", ">", 1)
                .order_by("id", "asc")
                .limit(2),
        )
        .order_by("name", "desc")
        .pluck("name")
        .await
        .unwrap();
    assert_eq!(names, ["Cid", "Bob", "Ann"]);
}
