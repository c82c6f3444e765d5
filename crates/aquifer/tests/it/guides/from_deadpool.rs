use std::time::Duration;

use aquifer::{Config, Db, Error, FromRow, Session, SqlState};

use super::filled;
use crate::support;

async fn connect(url: &str) -> Result<Db, Error> {
    let config = Config::from_url(url)?
        .connections_max(10)
        .acquire_timeout(Duration::from_secs(5));
    Db::connect_with(&config).await
}

#[derive(Debug, FromRow)]
struct Post {
    id: i64,
    title: String,
}

async fn newest(db: &Db, user: i64) -> Result<Vec<Post>, Error> {
    db.query_as(
        "select id, title from posts where user_id = $1 order by id desc limit 10",
        (user,),
    )
    .await
}

async fn title(db: &Db, post: i64) -> Result<Option<String>, Error> {
    let found: Option<(String,)> = db
        .query_opt("select title from posts where id = $1", (post,))
        .await?;
    Ok(found.map(|(title,)| title))
}

async fn sign_up(db: &Db, name: &str, bio: &str) -> Result<i64, Error> {
    db.with_transaction(async |tx| {
        let id: i64 = tx
            .query_value("insert into users (name) values ($1) returning id", (name,))
            .await?;
        tx.execute(
            "insert into profiles (user_id, bio) values ($1, $2)",
            (id, bio),
        )
        .await?;
        Ok(id)
    })
    .await
}

/// `false` when the address is taken.
async fn insert_new(db: &Db, name: &str, email: &str) -> Result<bool, Error> {
    let insert = "insert into users (name, email) values ($1, $2)";
    match db.execute(insert, (name, email)).await {
        Ok(_) => Ok(true),
        Err(error) if error.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Two reads at once: they may share one connection and one round trip.
async fn counts(db: &Db) -> Result<(i64, i64), Error> {
    tokio::try_join!(
        db.query_value("select count(*) from users", ()),
        db.query_value("select count(*) from posts", ()),
    )
}

async fn copy(db: &Db, posts: &[(i64, &str)]) -> Result<u64, Error> {
    let mut copy = db.copy_into("posts", ["user_id", "title"]).await?;
    for post in posts {
        copy.write(*post).await?;
    }
    copy.finish().await
}

#[tokio::test]
async fn the_halves_after_do_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    let posts = newest(&db, 1).await?;
    assert_eq!(
        (posts.len(), posts[0].id, &*posts[0].title),
        (10, 12, "Ann 12")
    );
    assert_eq!(title(&db, 1).await?.as_deref(), Some("Ann 1"));
    assert_eq!(title(&db, -1).await?, None);
    let dan = sign_up(&db, "Dan", "Hello").await?;
    let bio: String = db
        .query_value("select bio from profiles where user_id = $1", (dan,))
        .await?;
    assert_eq!(bio, "Hello");
    assert!(insert_new(&db, "Eve", "eve@example.com").await?);
    assert!(!insert_new(&db, "Eve", "eve@example.com").await?);
    assert_eq!(counts(&db).await?, (5, 13));
    assert_eq!(copy(&db, &[(1, "a"), (2, "b")]).await?, 2);
    assert_eq!(counts(&db).await?, (5, 15));
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn a_pool_is_opened() -> Result<(), Error> {
    let db = connect(&support::url()).await?;
    assert_eq!(db.query_value::<i32>("select 1", ()).await?, 1);
    db.close().await
}
