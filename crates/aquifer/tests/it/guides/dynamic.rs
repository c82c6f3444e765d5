use std::time::Duration;

use aquifer::query::{CursorKey, CursorPage, IntoOperator, count, excluded, now};
use aquifer::{Db, Direction, Error, ErrorKind, FromRow, Row, raw, values};

use super::{empty, filled};
use crate::support;

async fn newest(db: &Db, user: i64) -> Result<Vec<Row>, Error> {
    db.from("posts")
        .where_("user_id", "=", user)
        .order_by("created_at", Direction::Desc)
        .limit(10)
        .get()
        .await
}

#[derive(Debug, FromRow)]
struct Post {
    id: i64,
    title: String,
    views: i32,
}

/// What a page of a service lets its users choose.
#[derive(Clone, Debug, Default)]
struct Search {
    text: Option<String>,
    users: Vec<i64>,
    views_min: Option<i32>,
    sort: String,
}

async fn search(db: &Db, search: Search) -> Result<Vec<Post>, Error> {
    db.from("posts")
        .select(("id", "title", "views"))
        .where_in("user_id", search.users)
        .when(search.text, |posts, text| {
            posts.where_icontains("title", text)
        })
        .when(search.views_min, |posts, views| {
            posts.where_("views", ">=", views)
        })
        .sortable(["views", "created_at"], &search.sort, "desc")
        .order_by("id", "asc")
        .get_as()
        .await
}

/// For a minute at most, and not beyond the next write to the table.
async fn active(db: &Db) -> Result<Vec<Row>, Error> {
    db.from("users")
        .where_("active", "=", true)
        .cache(Duration::from_secs(60))
        .get()
        .await
}

/// Alternatives stand in a group; `and` and `or` are never mixed without one.
async fn notable(db: &Db) -> Result<u64, Error> {
    db.from("posts")
        .where_null("deleted_at")
        .where_any(|any| {
            any.where_("views", ">", 20)
                .where_starts_with("title", "Ann 1")
        })
        .count()
        .await
}

async fn overview(db: &Db) -> Result<Vec<(String, i64)>, Error> {
    db.from("users as u")
        .left_join("posts as p", "p.user_id", "=", "u.id")
        .select(("u.name", count("p.id").alias("posts")))
        .group_by(["u.id", "u.name"])
        .order_by("u.id", "asc")
        .get_as()
        .await
}

/// The page after `cursor`, however many rows were inserted before it meanwhile.
async fn page(db: &Db, key: &CursorKey, cursor: Option<&str>) -> Result<CursorPage<Post>, Error> {
    db.from("posts")
        .select(("id", "title", "views"))
        .order_by("views", "desc")
        .order_by("id", "desc")
        .cursor_page_as(key, cursor, 5)
        .await
}

async fn changes(db: &Db) -> Result<(), Error> {
    let john = db
        .from("users")
        .insert(values! { name: "John", email: "john@example.com", active: true })
        .await?;
    let id: i64 = john.get("id")?;

    let affected = db
        .from("users")
        .where_("id", "=", id)
        .update(values! { name: "John Doe", updated_at: now() })
        .await?;
    assert_eq!(affected, 1);

    let names: Vec<(String,)> = db
        .from("users")
        .insert(values! { name: "Johnny", email: "john@example.com" })
        .on_conflict(["email"])
        .do_update_set(values! { name: excluded("name") })
        .returning(["name"])
        .rows_as()
        .await?;
    assert_eq!(names, [("Johnny".to_owned(),)]);

    let affected = db.from("users").where_("id", "=", id).delete().await?;
    assert_eq!(affected, 1);
    Ok(())
}

/// Each `{}` is a parameter.
async fn by_address(db: &Db, address: &str) -> Result<Option<Row>, Error> {
    db.from("users")
        .where_("active", "=", true)
        .where_raw(raw!("lower(email) = lower({})", address))
        .first()
        .await
}

/// An operator that somebody else chooses, as in a filter of a list.
async fn compare(db: &Db, operator: impl IntoOperator) -> Result<u64, Error> {
    db.from("posts").where_("views", operator, 10).count().await
}

async fn find(db: &Db, id: &str) -> Result<Option<Row>, Error> {
    db.from("users").where_("id", "=", id).first().await
}

#[tokio::test]
async fn the_queries_find_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    assert_eq!(newest(&db, 1).await?.len(), 10);

    let mut wanted = Search {
        users: vec![1, 2],
        sort: "views".to_owned(),
        ..Search::default()
    };
    let all = search(&db, wanted.clone()).await?;
    assert_eq!((all.len(), all[0].id, all[0].views), (13, 13, 30));
    wanted.text = Some("%".to_owned());
    wanted.views_min = Some(5);
    let found = search(&db, wanted.clone()).await?;
    assert_eq!((found.len(), &*found[0].title), (1, "100% Ben"));
    wanted.sort = "id; drop table posts".to_owned();
    assert_eq!(
        search(&db, wanted).await.unwrap_err().kind(),
        ErrorKind::Usage
    );

    assert_eq!(active(&db).await?.len(), 2);
    assert_eq!(notable(&db).await?, 5);
    let expected = [("Ann", 12), ("Ben", 1), ("Cid", 0)];
    let expected = expected.map(|(name, posts)| (name.to_owned(), posts));
    assert_eq!(overview(&db).await?, expected);
    assert!(by_address(&db, "ANN@example.com").await?.is_some());

    let key = CursorKey::new(&[7; 32])?;
    let first = page(&db, &key, None).await?;
    let second = page(&db, &key, first.next.as_deref()).await?;
    let views: Vec<i32> = first
        .rows
        .iter()
        .chain(&second.rows)
        .map(|post| post.views)
        .collect();
    assert_eq!(views, [30, 12, 11, 10, 9, 8, 7, 6, 5, 4]);
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn the_changes_do_what_they_say() -> Result<(), Error> {
    let db = empty().await;
    changes(&db).await?;
    assert_eq!(db.from("users").count().await?, 0);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_words_of_the_page() -> Result<(), Error> {
    let db = filled().await;
    assert_eq!(compare(&db, ">=").await?, 4);
    let refused = [
        compare(&db, "= 1 OR 1=1 OR id =").await.unwrap_err(),
        find(&db, "1").await.unwrap_err(),
        db.from("posts").delete().await.unwrap_err(),
    ];
    for (error, text) in refused.iter().zip(SAID) {
        assert_eq!(error.to_string(), text.trim());
    }
    Ok(())
}

const SAID: [&str; 3] = [
    r#"
column "views": "= 1 OR 1=1 OR id =" is no operator; use = <> < <= > >= like ilike in between is, another of `Operator`, or raw!
"#,
    r#"
parameter $1: Rust str can't be sent as PostgreSQL int8: send i64, or name another type in SQL, as in $1::text::int8 (at …select * from "users" where "id" = $1)
"#,
    r#"
DELETE of "posts" has no condition and would take all rows; add a condition, or say `all_rows()` where that is meant
"#,
];
