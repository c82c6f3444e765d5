use std::time::SystemTime;

use aquifer::entity::{Entity, Projection, Query, case, json_object, literal, now, row, value};
use aquifer::types::{Interval, Json};
use aquifer::{Db, Error, ErrorKind, insert};
use serde::Deserialize;

use super::{empty, filled};
use crate::support;

#[derive(Debug, Entity)]
#[entity(table = "users", has_many(POSTS = Post::USER_ID))]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    email: Option<String>,
    #[entity(default)]
    active: bool,
}

#[derive(Debug, Entity)]
#[entity(table = "posts", version = lock_version, soft_delete = deleted_at)]
struct Post {
    #[entity(key, auto)]
    id: i64,
    #[entity(belongs_to = User::ID)]
    user_id: i64,
    title: String,
    #[entity(default)]
    views: i32,
    #[entity(default)]
    created_at: SystemTime,
    lock_version: i32,
    deleted_at: Option<SystemTime>,
}

async fn newest(db: &Db, user: i64) -> Result<Vec<Post>, Error> {
    Post::query()
        .filter(Post::USER_ID.eq(user))
        .order_by(Post::CREATED_AT.desc())
        .limit(10)
        .fetch(db)
        .await
}

/// A scope: conditions that have a name.
fn active(users: Query<User>) -> Query<User> {
    users.filter(User::ACTIVE.eq(true))
}

async fn search(db: &Db, text: Option<&str>) -> Result<Vec<User>, Error> {
    User::query()
        .scope(active)
        .when(text, |users, text| users.filter(User::NAME.icontains(text)))
        .order_by(User::NAME.asc())
        .fetch(db)
        .await
}

/// Users, each with the number of posts, and the most views that one has.
async fn overview(db: &Db) -> Result<Vec<(String, i64, Option<i32>)>, Error> {
    User::query()
        .left_join(User::POSTS)
        .group_by((User::ID, User::NAME))
        .order_by(User::ID.asc())
        .select((User::NAME, Post::ID.count(), Post::VIEWS.max()))
        .fetch(db)
        .await
}

#[derive(Debug, Projection)]
#[entity(of = User)]
struct Byline {
    name: String,
    #[entity(column = Post::TITLE)]
    title: String,
}

async fn bylines(db: &Db) -> Result<Vec<Byline>, Error> {
    User::query()
        .join(User::POSTS)
        .filter(Post::VIEWS.ge(10))
        .order_by(Post::ID.asc())
        .select_as::<Byline, _>()
        .fetch(db)
        .await
}

/// Who has written nothing.
async fn silent(db: &Db) -> Result<Vec<String>, Error> {
    User::query()
        .filter(!User::POSTS.exists())
        .pluck(User::NAME, db)
        .await
}

/// Posts of the last thirty days, how well they are read, and how old they are.
async fn recent(db: &Db) -> Result<Vec<(String, String, Interval)>, Error> {
    let month = Interval {
        days: 30,
        ..Interval::default()
    };
    let read = case(Post::VIEWS.ge(10), literal("much"))
        .when(Post::VIEWS.ge(5), literal("some"))
        .otherwise(literal("little"));
    let age = now::<SystemTime>().since(Post::CREATED_AT);
    Post::query()
        .filter(Post::CREATED_AT.gt_col(now::<SystemTime>().earlier_by(month)))
        .order_by(Post::ID.asc())
        .select((Post::TITLE, read, age))
        .fetch(db)
        .await
}

#[derive(Debug, Deserialize)]
struct Headline {
    title: String,
    views: i32,
}

/// Users with their posts, put together by the server as one document for each.
async fn headlines(db: &Db) -> Result<Vec<(String, Option<Json<Vec<Headline>>>)>, Error> {
    let headline = json_object()
        .member("title", Post::TITLE)
        .member("views", Post::VIEWS)
        .jsonb_agg::<Headline>();
    User::query()
        .join(User::POSTS)
        .group_by((User::ID, User::NAME))
        .order_by(User::ID.asc())
        .select((User::NAME, headline.ordered(Post::VIEWS.desc())))
        .fetch(db)
        .await
}

/// The next posts behind one that was shown.
async fn next(db: &Db, last: &Post) -> Result<Vec<Post>, Error> {
    Post::query()
        .filter(row((Post::VIEWS, Post::ID)).gt((last.views, last.id)))
        .order_by(Post::VIEWS.asc())
        .order_by(Post::ID.asc())
        .limit(5)
        .fetch(db)
        .await
}

async fn sign_up(db: &Db, name: &str, email: &str) -> Result<User, Error> {
    db.with_transaction(async |tx| {
        let user = insert!(User { name, email }).fetch(&tx).await?;
        let post = insert!(Post {
            user_id: user.id,
            title: "Hello"
        });
        post.execute(&tx).await?;
        Ok(user)
    })
    .await
}

/// Inserts, or takes the row that has this address already and renames it.
async fn sign_up_or_rename(db: &Db, name: &str, email: &str) -> Result<User, Error> {
    insert!(User { name, email })
        .on_conflict(User::EMAIL)
        .do_update()
        .fetch(db)
        .await
}

async fn count_view(db: &Db, post: i64) -> Result<u64, Error> {
    Post::update()
        .set(Post::VIEWS, Post::VIEWS + 1)
        .filter(Post::ID.eq(post))
        .execute(db)
        .await
}

/// Sets the views of many posts by one statement.
async fn set_views(db: &Db, views: &[(i64, i32)]) -> Result<u64, Error> {
    Post::update_many((Post::ID, Post::VIEWS), views.iter().copied())
        .execute(db)
        .await
}

/// Gives somebody a copy of each post of somebody else.
async fn copy_posts(db: &Db, from: i64, to: i64) -> Result<u64, Error> {
    let posts = Post::query().filter(Post::USER_ID.eq(from));
    Post::insert_from(
        (Post::USER_ID, Post::TITLE),
        posts.select((value(to), Post::TITLE)),
    )
    .execute(db)
    .await
}

/// Says `false` where somebody else has changed the post since it was read.
async fn retitle(db: &Db, post: &mut Post, title: &str) -> Result<bool, Error> {
    post.title = title.to_owned();
    match post.save(db).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

/// Marks the row as deleted: queries pass it over from now on. 0 where somebody else has changed it.
async fn delete(db: &Db, post: &Post) -> Result<u64, Error> {
    Post::delete().row(post).execute(db).await
}

async fn restore(db: &Db, post: i64) -> Result<u64, Error> {
    Post::restore().filter(Post::ID.eq(post)).execute(db).await
}

#[tokio::test]
async fn the_queries_find_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    let posts = newest(&db, 1).await?;
    assert_eq!(posts.len(), 10);
    assert!(
        posts
            .iter()
            .all(|post| post.user_id == 1 && post.deleted_at.is_none())
    );
    assert!(posts.is_sorted_by_key(|post| std::cmp::Reverse(post.created_at)));

    let found = search(&db, Some("N")).await?;
    let names: Vec<_> = found.iter().map(|user| &*user.name).collect();
    assert_eq!(names, ["Ann", "Ben"]);
    assert!(found.iter().all(|user| user.active));
    assert_eq!(search(&db, None).await?.len(), 2);
    assert_eq!(search(&db, Some("%")).await?.len(), 0);

    let expected = [
        ("Ann", 12, Some(12)),
        ("Ben", 1, Some(30)),
        ("Cid", 0, None),
    ];
    let expected = expected.map(|(name, posts, views)| (name.to_owned(), posts, views));
    assert_eq!(overview(&db).await?, expected);

    let bylines = bylines(&db).await?;
    assert_eq!(bylines.len(), 4);
    assert_eq!((&*bylines[3].name, &*bylines[3].title), ("Ben", "100% Ben"));
    assert_eq!(silent(&db).await?, ["Cid"]);

    let recent = recent(&db).await?;
    assert_eq!(recent.len(), 13);
    let read = |of: &str| recent.iter().filter(|(_, read, _)| read == of).count();
    assert_eq!((read("much"), read("some"), read("little")), (4, 5, 4));
    assert!(recent.iter().all(|(_, _, age)| age.days == 0));

    let headlines = headlines(&db).await?;
    let [(ann, Some(Json(of_ann))), (ben, Some(Json(of_ben)))] = headlines.as_slice() else {
        panic!("{headlines:?}");
    };
    assert_eq!((&**ann, of_ann.len(), of_ann[0].views), ("Ann", 12, 12));
    assert_eq!((&**ben, &*of_ben[0].title), ("Ben", "100% Ben"));
    let behind = next(&db, &Post::find(10).one(&db).await?).await?;
    let ids: Vec<_> = behind.iter().map(|post| post.id).collect();
    assert_eq!(ids, [11, 12, 13]);
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn the_changes_do_what_they_say() -> Result<(), Error> {
    let db = empty().await;
    let ann = sign_up(&db, "Ann", "ann@example.com").await?;
    assert_eq!(ann.email.as_deref(), Some("ann@example.com"));
    let anna = sign_up_or_rename(&db, "Anna", "ann@example.com").await?;
    assert_eq!((anna.id, &*anna.name), (ann.id, "Anna"));

    let mut same = Post::query().one(&db).await?;
    assert_eq!(count_view(&db, same.id).await?, 1);
    let mut post = Post::find(same.id).one(&db).await?;
    assert_eq!((post.views, post.lock_version), (1, 2));
    assert!(retitle(&db, &mut post, "First").await?);
    assert_eq!(post.lock_version, 3);
    let ben = sign_up(&db, "Ben", "ben@example.com").await?;
    assert_eq!(copy_posts(&db, ben.id, ben.id).await?, 1);
    let own = Post::query().filter(Post::USER_ID.eq(ben.id));
    let views = own.pluck(Post::ID, &db).await?;
    let views: Vec<_> = views.into_iter().map(|id| (id, 7)).collect();
    assert_eq!(set_views(&db, &views).await?, 2);
    let own = Post::query().filter(Post::VIEWS.eq(7));
    assert_eq!(own.count(&db).await?, 2);
    assert!(!retitle(&db, &mut same, "Second").await?);
    assert_eq!(delete(&db, &same).await?, 0);
    assert_eq!(delete(&db, &post).await?, 1);
    assert!(newest(&db, ann.id).await?.is_empty());
    assert_eq!(restore(&db, post.id).await?, 1);
    assert_eq!(Post::find(post.id).one(&db).await?.title, "First");
    support::assert_whole(&db).await;
    Ok(())
}
