//! What must be an error or a constant, and never a panic, SQL from data, or all rows.

use aquifer::query::{CursorKey, Lint, Record, col};
use aquifer::{AssertSafe, ErrorKind, Session, raw, values};

use super::database;

/// The error's kind and whether its text has all of these.
fn says(error: &aquifer::Error, parts: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[tokio::test]
async fn update_and_delete_of_all_rows_must_be_asked_for() {
    let db = database().await;
    says(
        &db.from("posts").delete().await.unwrap_err(),
        &["\"posts\"", "all_rows()"],
    );
    let none: [i64; 0] = [];
    let excluded = db.from("posts").where_not_in("id", none).delete().await;
    says(&excluded.unwrap_err(), &["all_rows()"]);
    let update = db.from("posts").update(values! { views: 0 }).await;
    says(&update.unwrap_err(), &["UPDATE", "all_rows()"]);
    assert_eq!(db.from("posts").count().await.unwrap(), 30);
    assert_eq!(db.from("posts").all_rows().delete().await.unwrap(), 30);
}

#[tokio::test]
async fn what_update_and_delete_have_not_is_refused_and_not_ignored() {
    let db = database().await;
    says(
        &db.from("posts")
            .where_("id", ">", 0)
            .limit(1)
            .delete()
            .await
            .unwrap_err(),
        &["limit"],
    );
    says(
        &db.from("posts")
            .where_("id", ">", 0)
            .insert(values! { title: "x" })
            .await
            .unwrap_err(),
        &["condition"],
    );
    let left = db
        .from("posts")
        .left_join("users", "users.id", "=", "posts.user_id")
        .where_("users.id", "=", 1);
    says(&left.delete().await.unwrap_err(), &["inner join"]);
}

#[tokio::test]
async fn null_in_a_list_for_not_in_is_an_error() {
    let db = database().await;
    let list = vec![Some(1_i64), None];
    let error = db
        .from("users")
        .where_not_in("id", list)
        .get()
        .await
        .unwrap_err();
    says(&error, &["\"id\"", "NULL"]);
}

#[tokio::test]
async fn and_and_or_are_not_mixed_by_chance() {
    let db = database().await;
    let mixed = db
        .from("users")
        .where_("active", "=", true)
        .where_("age", ">", 1)
        .or_where("id", "=", 3);
    says(&mixed.get().await.unwrap_err(), &["where_any"]);
    let mixed = db
        .from("users")
        .where_("id", "=", 1)
        .or_where("id", "=", 3)
        .where_("active", "=", true);
    says(&mixed.get().await.unwrap_err(), &["where_any"]);
    let grouped = db
        .from("users")
        .where_("active", "=", true)
        .where_any(|any| any.where_("id", "=", 1).where_("id", "=", 3));
    assert_eq!(grouped.count().await.unwrap(), 1);
    let alternatives = db
        .from("users")
        .where_("id", "=", 1)
        .or_where("id", "=", 3)
        .or_where_null("age");
    assert_eq!(alternatives.count().await.unwrap(), 3);
}

#[tokio::test]
async fn raw_text_stays_within_its_parentheses() {
    let db = database().await;
    for (text, part) in [
        ("1 = 1) or (1 = 1", "parenthesis"),
        ("id = $1", "parameter"),
        ("true; drop table users", "semicolon"),
        ("name = 'x", "quote"),
        ("(id = 1", "parenthesis"),
    ] {
        let query = db
            .from("users")
            .where_("active", "=", false)
            .where_raw(AssertSafe(text.to_owned()));
        says(&query.get().await.unwrap_err(), &[part, "raw!"]);
    }
    let either = db
        .from("users")
        .where_("active", "=", false)
        .where_raw("id = 1 or id = 3 -- why");
    assert_eq!(either.count().await.unwrap(), 1);
    let braces = db.from("users").where_raw("meta <> '{}'::jsonb").count();
    assert_eq!(braces.await.unwrap(), 2);
}

#[tokio::test]
async fn patterns_find_the_text_that_was_given() {
    let db = database().await;
    db.from("users")
        .insert(values! { name: "100%_sure\\" })
        .await
        .unwrap();
    for text in ["%", "_", "100%_", "\\"] {
        let found: Vec<String> = db
            .from("users")
            .where_contains("name", text)
            .pluck("name")
            .await
            .unwrap();
        assert_eq!(found, ["100%_sure\\"], "{text}");
    }
    assert_eq!(
        db.from("users")
            .where_starts_with("name", "An")
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("users")
            .where_icontains("name", "ANN")
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("users")
            .where_ends_with("name", "d")
            .count()
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        db.from("users")
            .where_("name", "like", "_n%")
            .count()
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn the_first_thing_that_was_wrong_is_told() {
    let db = database().await;
    let query = db
        .from("users")
        .where_("id", "==>", 1)
        .where_("name", "nope", 1)
        .order_by("a.b.c", "asc");
    says(&query.get().await.unwrap_err(), &["\"==>\"", "\"id\""]);
    says(
        &db.query_builder()
            .where_("id", "=", 1)
            .delete()
            .await
            .unwrap_err(),
        &["from"],
    );
    let twice = Record::new().set("name", "a").set("name", "b");
    says(
        &db.from("users").insert(twice).await.unwrap_err(),
        &["\"name\"", "twice"],
    );
    let nothing = db.from("users").insert_many([]).await.unwrap_err();
    says(&nothing, &["no row"]);
    let uneven = [values! { name: "a" }, values! { name: "b", age: 1 }];
    says(
        &db.from("users").insert_many(uneven).await.unwrap_err(),
        &["row 2"],
    );
    says(
        &db.from("users").paginate(0, 10).await.unwrap_err(),
        &["from 1"],
    );
    let key = CursorKey::new(&[1; 32]).unwrap();
    says(
        &db.from("users")
            .cursor_page(&key, None, 5)
            .await
            .unwrap_err(),
        &["order_by"],
    );
    says(
        &db.from("users")
            .for_update()
            .skip_locked()
            .join_on(aquifer::query::JoinKind::Inner, "posts", |on| on)
            .get()
            .await
            .unwrap_err(),
        &["cross_join"],
    );
}

#[tokio::test]
async fn no_value_is_shown() {
    let db = database().await;
    let secret = "hunter2-hunter2";
    let query = db
        .from("users")
        .where_("name", "=", secret)
        .where_in("email", vec![secret]);
    let shown = format!(
        "{query:?} {:?} {}",
        query.clone().build().unwrap(),
        query.to_sql().unwrap()
    );
    assert!(!shown.contains(secret), "{shown}");
    let change = db
        .from("users")
        .where_("id", "=", 1)
        .update(values! { age: secret });
    assert!(!format!("{change:?}").contains(secret));
    let error = change.await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
}

#[tokio::test]
async fn plans_tell_tables_and_what_is_seldom_meant() {
    let db = database().await;
    let plan = db
        .from("users as u")
        .join("posts as p", "p.user_id", "=", "u.id")
        .limit(1)
        .build()
        .unwrap();
    let read: Vec<_> = plan.tables_read().map(ToString::to_string).collect();
    assert_eq!(read, ["\"users\"", "\"posts\""]);
    assert!(plan.is_read() && plan.lints().is_empty());
    let same = db.from("users").where_("id", "=", 1).build().unwrap();
    let other = db.from("users").where_("id", "=", 2).build().unwrap();
    assert_eq!(same.fingerprint(), other.fingerprint());
    let change = db
        .from("users")
        .where_("id", "=", 1)
        .delete()
        .build()
        .unwrap();
    assert!(!change.is_read());
    assert_eq!(change.tables_written().count(), 1);
    let locks = db.from("users").for_update().build().unwrap();
    assert!(!locks.is_read());
    assert_eq!(locks.lints(), [Lint::MissingLimit]);
}

#[tokio::test]
async fn a_handle_for_reads_takes_reads_only() {
    let db = database().await;
    let read = db.read();
    assert_eq!(read.from("users").count().await.unwrap(), 3);
    assert!(
        read.from("users")
            .where_("id", "=", 1)
            .delete()
            .await
            .is_err()
    );
    assert!(
        read.from("users")
            .insert_many([values! { name: "x" }])
            .await
            .is_err()
    );
    assert_eq!(db.from("users").count().await.unwrap(), 3);
}

#[tokio::test]
async fn a_dry_run_is_checked_and_changes_nothing() {
    let db = database().await;
    let plan = db
        .from("users")
        .where_("id", "=", 1)
        .dry_run()
        .await
        .unwrap();
    assert_eq!(plan.parameters(), 1);
    let error = db
        .from("users")
        .where_("nope", "=", 1)
        .dry_run()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nope"), "{error}");
    let explained = db
        .from("users")
        .where_(col("name"), "=", "Ann")
        .explain()
        .await
        .unwrap();
    assert!(explained.scans_whole("users"), "{:?}", explained.json());
    assert!(explained.root().cost().is_some() && explained.execution_ms().is_none());
    let analyzed = db
        .from("posts")
        .where_raw(raw!("id = {}", 1_i64))
        .explain_analyze()
        .await
        .unwrap();
    assert!(analyzed.execution_ms().is_some());
    assert!(
        analyzed
            .steps()
            .iter()
            .any(|step| step.rows_actual() == Some(1.0))
    );
    // The server has the statement as one of its own: it takes the parameters of the builder.
    db.execute("select 1", ()).await.unwrap();
}
