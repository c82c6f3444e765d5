use std::path::Path;
use std::time::Duration;

use aquifer::{Config, Db, ErrorKind, Heard, Session};
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};

use super::{Failure, MIGRATIONS, empty, filled};

/// Two pools, one budget: together no more connections than the one pool had before.
async fn connect(url: &str) -> Result<(PgPool, Db), Failure> {
    let pool = PgPoolOptions::new().max_connections(6).connect(url).await?;
    let config = Config::from_url(url)?.connections_max(4);
    let db = Db::connect_with(&config).await?;
    Ok((pool, db))
}

/// Either runner will do: both read and write the same table, and keep each other out.
async fn migrate(pool: &PgPool, db: &Db, directory: &Path) -> Result<(), Failure> {
    let theirs = sqlx::migrate::Migrator::new(directory).await?;
    theirs.run(pool).await?;
    let ours = aquifer::migrate::Migrator::from_dir(directory)?;
    let applied = ours.up(db).await?;
    assert!(applied.is_empty(), "sqlx has done it");
    Ok(())
}

/// One struct for the code that has moved and for the code that has not.
#[derive(Debug, aquifer::FromRow, sqlx::FromRow)]
struct User {
    id: i64,
    name: String,
}

async fn find_before(pool: &PgPool, id: i64) -> Result<User, sqlx::Error> {
    sqlx::query_as("select id, name from users where id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
}

async fn find_after(db: &Db, id: i64) -> Result<User, aquifer::Error> {
    db.query_one("select id, name from users where id = $1", (id,))
        .await
}

/// What has moved calls what has not once its own work is committed, never within it.
async fn sign_up(pool: &PgPool, db: &Db, name: &str) -> Result<i64, Failure> {
    let id: i64 = db
        .query_value("insert into users (name) values ($1) returning id", (name,))
        .await?;
    add_profile(pool, id).await?;
    Ok(id)
}

/// Not moved yet.
async fn add_profile(pool: &PgPool, user: i64) -> Result<(), sqlx::Error> {
    sqlx::query("insert into profiles (user_id, bio) values ($1, 'Hello')")
        .bind(user)
        .execute(pool)
        .await?;
    Ok(())
}

/// Waits for itself: the one transaction for the row that the other has changed, the other for the
/// first to return. The server can't see that; only the deadline ends it.
async fn nested(pool: &PgPool, db: &Db, id: i64) -> Result<(), Failure> {
    let mut tx = pool.begin().await?;
    sqlx::query("update users set name = 'Dora' where id = $1")
        .bind(id)
        .execute(&mut *tx)
        .await?;
    let db = db.with_query_timeout(Duration::from_millis(200));
    let waited = db
        .execute("update users set active = false where id = $1", (id,))
        .await;
    assert!(waited.is_err_and(|error| error.kind() == ErrorKind::Timeout));
    Ok(())
}

async fn notify(pool: &PgPool, db: &Db) -> Result<(), Failure> {
    let mut ours = db.listen(["users"]).await?;
    sqlx::query("select pg_notify('users', 'from sqlx')")
        .execute(pool)
        .await?;
    if let Heard::Notification(heard) = ours.recv().await? {
        println!("{}", heard.payload());
    }

    let mut theirs = PgListener::connect_with(pool).await?;
    theirs.listen("users").await?;
    db.execute("select pg_notify('users', 'from aquifer')", ())
        .await?;
    println!("{}", theirs.recv().await?.payload());
    Ok(())
}

#[tokio::test]
async fn both_work_on_one_database() -> Result<(), Failure> {
    let (pool, db) = connect(&filled().await?).await?;
    assert_eq!(find_before(&pool, 1).await?.name, "Ann");
    assert_eq!(find_after(&db, 1).await?.id, 1);
    let dan = sign_up(&pool, &db, "Dan").await?;
    let profiles: i64 = db.query_value("select count(*) from profiles", ()).await?;
    assert_eq!(profiles, 1);
    nested(&pool, &db, dan).await?;
    assert_eq!(find_before(&pool, dan).await?.name, "Dan");
    notify(&pool, &db).await?;
    pool.close().await;
    db.close().await?;
    Ok(())
}

#[tokio::test]
async fn either_runner_finds_what_the_other_has_applied() -> Result<(), Failure> {
    let (pool, db) = connect(&empty()).await?;
    migrate(&pool, &db, Path::new(MIGRATIONS)).await?;
    pool.close().await;

    let (pool, db) = connect(&empty()).await?;
    let ours = aquifer::migrate::Migrator::from_dir(MIGRATIONS)?;
    assert_eq!(ours.up(&db).await?.len(), 2);
    migrate(&pool, &db, Path::new(MIGRATIONS)).await?;
    pool.close().await;
    db.close().await?;
    Ok(())
}
