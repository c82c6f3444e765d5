//! What failed in the builder of the TypeScript ancestor, one test each.

use aquifer::query::count_all;
use aquifer::{ErrorKind, raw, values};

use super::database;

#[tokio::test]
async fn update_numbers_set_and_where_apart() {
    let db = database().await;
    let changed = db
        .from("users")
        .where_("id", "=", 1)
        .where_("name", "=", "Ann")
        .update(values! { name: "Anna", age: 31 })
        .await
        .unwrap();
    assert_eq!(changed, 1);
    let row = db
        .from("users")
        .where_("id", "=", 1)
        .first()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (row.get("name").unwrap(), row.get("age").unwrap()),
        ("Anna", 31)
    );
}

#[tokio::test]
async fn the_same_value_may_be_given_twice() {
    let db = database().await;
    let both = db
        .from("posts")
        .where_("user_id", "=", 1)
        .where_("id", ">", 1)
        .where_in("views", [1, 1, 2])
        .count();
    assert_eq!(both.await.unwrap(), 1);
}

#[tokio::test]
async fn get_without_select_returns_all_columns() {
    let db = database().await;
    let users = db.from("users").get().await.unwrap();
    assert_eq!(users.len(), 3);
    assert_eq!(users[0].columns().list().len(), 11);
}

#[tokio::test]
async fn operators_columns_and_directions_are_no_way_in() {
    let db = database().await;
    let operator = db
        .from("users")
        .where_("id", "= 1 OR 1=1 OR id =", 1)
        .get()
        .await;
    let error = operator.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("column \"id\""), "{error}");
    assert!(
        error.to_string().contains("like ilike in between"),
        "{error}"
    );

    let column = String::from("id; drop table posts");
    assert_eq!(
        db.from("users")
            .order_by(column, "asc")
            .get()
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::Usage
    );
    let direction = db
        .from("users")
        .order_by("id", "desc; drop table posts")
        .get()
        .await;
    assert_eq!(direction.unwrap_err().kind(), ErrorKind::Usage);
    // A name that is one, but of no column, is an error of the server, which names it.
    let unknown = db
        .from("users")
        .where_("id OR TRUE --", "=", 1)
        .get()
        .await
        .unwrap_err();
    assert!(unknown.to_string().contains("id OR TRUE --"), "{unknown}");
    assert_eq!(db.from("posts").count().await.unwrap(), 30);
}

#[tokio::test]
async fn the_limit_is_a_parameter() {
    let db = database().await;
    let query = db.from("posts").order_by("id", "asc").limit(2).offset(3);
    assert!(query.to_sql().unwrap().ends_with("limit $1 offset $2"));
    let ids: Vec<i64> = query.pluck("id").await.unwrap();
    assert_eq!(ids, [4, 5]);
    assert_eq!(
        db.from("posts").limit(u64::MAX).get().await.unwrap().len(),
        30
    );
}

#[tokio::test]
async fn callers_do_not_add_to_each_others_conditions() {
    let db = database().await;
    let first = db.from("users").where_("id", "=", 1).get();
    let second = db.from("users").where_("id", "=", 2).get();
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.len(), second.len()), (1, 1));
}

#[tokio::test]
async fn the_text_null_and_not_a_number_are_values_like_others() {
    let db = database().await;
    let row = db
        .from("users")
        .insert(values! { name: "NULL", score: 1.5 })
        .await
        .unwrap();
    assert_eq!(row.get::<String>("name").unwrap(), "NULL");
    assert_eq!(
        db.from("users")
            .where_("name", "=", "NULL")
            .count()
            .await
            .unwrap(),
        1
    );
    let row = db
        .from("users")
        .where_("name", "=", "NULL")
        .update(values! { score: f64::NAN })
        .returning(["score"])
        .rows()
        .await
        .unwrap();
    assert_eq!(row[0].get::<String>("score").unwrap(), "NaN");
    // PostgreSQL takes NaN for larger than any number and equal to itself.
    let found = db.from("users").where_("score", ">=", f64::NAN).count();
    assert_eq!(found.await.unwrap(), 1);
    // An int column has none.
    let nan = db.from("users").where_("age", "<", f64::NAN).count().await;
    assert_eq!(nan.unwrap_err().kind(), ErrorKind::Encode);
}

#[tokio::test]
async fn delete_with_an_order_or_the_word_where_in_raw_text_is_right() {
    let db = database().await;
    let raw = raw!("title = 'no WHERE' or id = {}", 1_i64);
    let gone = db
        .from("posts")
        .where_raw(raw)
        .order_by("id", "asc")
        .delete()
        .await
        .unwrap();
    assert_eq!(gone, 1);
    let gone = db
        .from("posts")
        .where_raw("title <> 'WHERE' and id < 4")
        .delete()
        .await;
    assert_eq!(gone.unwrap(), 2);
}

#[tokio::test]
async fn the_builder_is_not_used_up_by_counting() {
    let db = database().await;
    let query = db
        .from("users")
        .select(("name", "age"))
        .order_by("name", "asc");
    assert_eq!(query.clone().count().await.unwrap(), 3);
    assert!(query.clone().exists().await.unwrap());
    assert_eq!(
        query.get().await.unwrap()[0].get::<&str>("name").unwrap(),
        "Ann"
    );
}

#[tokio::test]
async fn raw_text_is_numbered_with_the_rest() {
    let db = database().await;
    // What is borrowed for less than the program's life can be a value, too.
    let name = String::from("bob ");
    let name = name.trim();
    let found = db
        .from("users")
        .where_("active", "=", true)
        .where_raw(raw!("lower(name) = {} or age = {}", name, 99))
        .select(("name", count_all()))
        .group_by(["name"])
        .having_raw(raw!("count(*) >= {}", 1_i64))
        .get()
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}
