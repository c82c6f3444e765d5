//! The connection wrapper, which is `Db`: SQL, the query builder, the cache and transactions behind
//! one handle.
//!
//! ```sh
//! cargo run --package aquifer --example connection_wrapper
//! ```
//!
//! It starts a private PostgreSQL and a private Redis.
#![allow(
    clippy::print_stdout,
    reason = "an example shows what it does by printing it"
)]

use std::error::Error;
use std::time::Duration;

use aquifer::migrate::Migrator;
use aquifer::{CacheOptions, Config, Db, Embedded, Session};
use aquifer_testkit::Redis;
use serde::{Deserialize, Serialize};

const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_users.sql",
    "create table users (
         id bigint generated always as identity primary key,
         name text not null,
         active boolean not null default true
     );
     create table posts (
         user_id bigint not null references users,
         title text not null,
         created_at timestamptz not null
     );
     create table profiles (user_id bigint not null references users, bio text not null);
     insert into users (name, active) values ('Ann', true), ('Bob', false);
     insert into posts
     select 1, 'Post ' || day, date '2026-01-01' + day from generate_series(1, 12) as day;",
)];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: i64,
    name: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (postgres, redis) = (Embedded::start()?, Redis::start());
    let config = Config::from_url(postgres.url())?.redis_url(redis.url());
    let db = Db::connect_with(&config).await?;
    Migrator::from_files(MIGRATIONS)?.up(&db).await?;
    use_it(&db, 1).await?;
    db.close().await?;
    postgres.stop()?;
    Ok(())
}

async fn use_it(db: &Db, user_id: i64) -> Result<(), Box<dyn Error>> {
    // Execute a query.
    let users = db
        .query("SELECT * FROM users WHERE active = $1", (true,))
        .await?;
    println!("{} active user", users.len());
    assert_eq!(users.len(), 1);

    // Use the query builder.
    let posts = db
        .query_builder()
        .from("posts")
        .where_("user_id", "=", user_id)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await?;
    let newest: String = posts.first().ok_or("she wrote twelve")?.get("title")?;
    println!("{} posts, the newest is {newest:?}", posts.len());
    assert_eq!((posts.len(), newest.as_str()), (10, "Post 12"));

    // Use the cache.
    let john = User {
        id: 1,
        name: "John".to_owned(),
    };
    let hour = CacheOptions::new().ttl(Duration::from_secs(3600));
    db.cache().set_with("user:1", &john, &hour).await?;
    let user = db.cache().get::<User>("user:1").await?;
    println!("user:1 in the cache: {user:?}");
    assert_eq!(user.as_deref(), Some(&john));

    // Execute a transaction: calls on `db` within it are part of it.
    db.with_transaction(async |_| {
        let insert = "INSERT INTO users (name) VALUES ($1) RETURNING id";
        let id: i64 = db.query_value(insert, ("John",)).await?;
        let insert = "INSERT INTO profiles (user_id, bio) VALUES ($1, $2)";
        db.execute(insert, (id, "Hello")).await
    })
    .await?;

    // If any of it fails, nothing has happened.
    let failed = db
        .with_transaction(async |_| {
            db.execute("INSERT INTO users (name) VALUES ($1)", ("Jane",))
                .await?;
            let nobody = -1_i64;
            let insert = "INSERT INTO profiles (user_id, bio) VALUES ($1, $2)";
            db.execute(insert, (nobody, "Hello")).await
        })
        .await;
    assert!(failed.is_err_and(|error| error.constraint() == Some("profiles_user_id_fkey")));
    let names: Vec<String> = db
        .query_column("SELECT name FROM users ORDER BY id", ())
        .await?;
    println!("users after both transactions: {names:?}");
    assert_eq!(names, ["Ann", "Bob", "John"]);
    Ok(())
}
