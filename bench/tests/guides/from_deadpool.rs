use std::pin::pin;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use tokio_postgres::NoTls;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::{Failure, filled};

fn connect(url: &str) -> Result<Pool, Failure> {
    let manager = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(url.parse()?, NoTls, manager);
    let pool = Pool::builder(manager)
        .max_size(10)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_secs(5)))
        .build()?;
    Ok(pool)
}

#[derive(Debug)]
struct Post {
    id: i64,
    title: String,
}

async fn newest(pool: &Pool, user: i64) -> Result<Vec<Post>, PoolError> {
    let client = pool.get().await?;
    let statement = client
        .prepare_cached("select id, title from posts where user_id = $1 order by id desc limit 10")
        .await?;
    let rows = client.query(&statement, &[&user]).await?;
    let post = |row: &tokio_postgres::Row| Post {
        id: row.get("id"),
        title: row.get("title"),
    };
    Ok(rows.iter().map(post).collect())
}

async fn title(pool: &Pool, post: i64) -> Result<Option<String>, PoolError> {
    let client = pool.get().await?;
    let statement = client
        .prepare_cached("select title from posts where id = $1")
        .await?;
    let row = client.query_opt(&statement, &[&post]).await?;
    Ok(row.map(|row| row.get(0)))
}

async fn sign_up(pool: &Pool, name: &str, bio: &str) -> Result<i64, PoolError> {
    let mut client = pool.get().await?;
    let tx = client.transaction().await?;
    let row = tx
        .query_one(
            "insert into users (name) values ($1) returning id",
            &[&name],
        )
        .await?;
    let id: i64 = row.get(0);
    tx.execute(
        "insert into profiles (user_id, bio) values ($1, $2)",
        &[&id, &bio],
    )
    .await?;
    tx.commit().await?;
    Ok(id)
}

/// `false` when the address is taken.
async fn insert_new(pool: &Pool, name: &str, email: &str) -> Result<bool, PoolError> {
    let client = pool.get().await?;
    let insert = "insert into users (name, email) values ($1, $2)";
    match client.execute(insert, &[&name, &email]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Two reads at once, on one connection: one round trip.
async fn counts(pool: &Pool) -> Result<(i64, i64), PoolError> {
    let client = pool.get().await?;
    let (users, posts) = tokio::try_join!(
        client.query_one("select count(*) from users", &[]),
        client.query_one("select count(*) from posts", &[]),
    )?;
    Ok((users.get(0), posts.get(0)))
}

async fn copy(pool: &Pool, posts: &[(i64, &str)]) -> Result<u64, PoolError> {
    let client = pool.get().await?;
    let sink = client
        .copy_in("copy posts (user_id, title) from stdin binary")
        .await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT8, Type::TEXT]));
    for (user, title) in posts {
        writer.as_mut().write(&[user, title]).await?;
    }
    Ok(writer.finish().await?)
}

/// What the tests of the library ask of the other halves.
#[tokio::test]
async fn the_halves_before_do_what_they_say() -> Result<(), Failure> {
    let url = filled().await?;
    let pool = connect(&url)?;
    let posts = newest(&pool, 1).await?;
    assert_eq!(
        (posts.len(), posts[0].id, &*posts[0].title),
        (10, 12, "Ann 12")
    );
    assert_eq!(title(&pool, 1).await?.as_deref(), Some("Ann 1"));
    assert_eq!(title(&pool, -1).await?, None);
    sign_up(&pool, "Dan", "Hello").await?;
    assert!(insert_new(&pool, "Eve", "eve@example.com").await?);
    assert!(!insert_new(&pool, "Eve", "eve@example.com").await?);
    assert_eq!(counts(&pool).await?, (5, 13));
    assert_eq!(copy(&pool, &[(1, "a"), (2, "b")]).await?, 2);
    assert_eq!(counts(&pool).await?, (5, 15));
    Ok(())
}
