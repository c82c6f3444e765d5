use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use super::{Failure, MIGRATIONS, filled};

async fn connect(url: &str) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(5))
        .connect(url)
        .await
}

async fn migrate(pool: &PgPool, directory: &Path) -> Result<(), sqlx::Error> {
    Migrator::new(directory).await?.run(pool).await?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

async fn active(pool: &PgPool) -> Result<Vec<User>, sqlx::Error> {
    sqlx::query_as("select id, name, email from users where active = $1 order by id")
        .bind(true)
        .fetch_all(pool)
        .await
}

async fn find(pool: &PgPool, id: i64) -> Result<Option<User>, sqlx::Error> {
    sqlx::query_as("select id, name, email from users where id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}

async fn insert(pool: &PgPool, name: &str, email: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("insert into users (name, email) values ($1, $2) returning id")
        .bind(name)
        .bind(email)
        .fetch_one(pool)
        .await
}

/// `None` when the address is taken.
async fn insert_new(pool: &PgPool, name: &str, email: &str) -> Result<Option<i64>, sqlx::Error> {
    match insert(pool, name, email).await {
        Ok(id) => Ok(Some(id)),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn sign_up(pool: &PgPool, name: &str, bio: &str) -> Result<i64, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let id: i64 = sqlx::query_scalar("insert into users (name) values ($1) returning id")
        .bind(name)
        .fetch_one(&mut *tx)
        .await?;
    add_profile(&mut tx, id, bio).await?;
    tx.commit().await?;
    Ok(id)
}

async fn add_profile(tx: &mut PgConnection, user: i64, bio: &str) -> Result<(), sqlx::Error> {
    sqlx::query("insert into profiles (user_id, bio) values ($1, $2)")
        .bind(user)
        .bind(bio)
        .execute(tx)
        .await?;
    Ok(())
}

async fn search(pool: &PgPool, name: Option<&str>, limit: i64) -> Result<Vec<User>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new("select id, name, email from users");
    if let Some(name) = name {
        let escaped = name
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        query
            .push(" where name ilike ")
            .push_bind(format!("%{escaped}%"));
    }
    query.push(" order by id limit ").push_bind(limit);
    query.build_query_as().fetch_all(pool).await
}

async fn insert_all(pool: &PgPool, names: &[&str]) -> Result<u64, sqlx::Error> {
    let done = sqlx::query("insert into users (name) select unnest($1::text[])")
        .bind(names)
        .execute(pool)
        .await?;
    Ok(done.rows_affected())
}

async fn letters(pool: &PgPool) -> Result<usize, sqlx::Error> {
    let mut names = sqlx::query_scalar::<_, String>("select name from users").fetch(pool);
    let mut letters = 0;
    while let Some(name) = names.try_next().await? {
        letters += name.chars().count();
    }
    Ok(letters)
}

/// What the tests of the library ask of the other halves.
#[tokio::test]
async fn the_halves_before_do_what_they_say() -> Result<(), Failure> {
    let url = filled().await?;
    let pool = connect(&url).await?;
    migrate(&pool, Path::new(MIGRATIONS)).await?;
    let names: Vec<_> = active(&pool)
        .await?
        .into_iter()
        .map(|user| user.name)
        .collect();
    assert_eq!(names, ["Ann", "Ben"]);
    let ann = find(&pool, 1).await?.ok_or("there is Ann")?;
    assert_eq!((ann.id, ann.email.as_deref()), (1, Some("ann@example.com")));
    assert!(find(&pool, -1).await?.is_none());
    assert_eq!(insert_new(&pool, "Dan", "dan@example.com").await?, Some(4));
    assert_eq!(insert_new(&pool, "Dan", "dan@example.com").await?, None);
    sign_up(&pool, "Eve", "Hello").await?;
    let found = search(&pool, Some("N"), 2).await?;
    assert_eq!(
        found.iter().map(|user| &*user.name).collect::<Vec<_>>(),
        ["Ann", "Ben"]
    );
    assert_eq!(search(&pool, Some("%"), 2).await?.len(), 0);
    assert_eq!(insert_all(&pool, &["Fay", "Gus"]).await?, 2);
    assert_eq!(letters(&pool).await?, 7 * 3);
    pool.close().await;
    Ok(())
}
