//! Connect, make a schema, query, read rows into structs, tell errors apart.
//!
//! `cargo run --package aquifer --example quickstart` starts a private PostgreSQL for it; a service
//! passes the URL of its own to `Db::connect`.
#![allow(
    clippy::print_stdout,
    reason = "an example shows what it does by printing it"
)]

use std::error::Error;

use aquifer::migrate::Migrator;
use aquifer::{Db, Embedded, ErrorKind, FromRow, Session, SqlState, raw};

/// As a rule files of their own: `("0001_users.sql", include_str!("../migrations/0001_users.sql"))`.
const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_users.sql",
    "create table users (
         id bigint generated always as identity primary key,
         name text not null,
         email text unique,
         signed_up_on date not null default current_date
     )",
)];

#[derive(Debug, FromRow)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
    /// A field may have another name than its column.
    #[aquifer(rename = "signed_up_on")]
    since: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Embedded::start()?;
    let db = Db::connect(&server.url()).await?;
    use_it(&db).await?;
    db.close().await?;
    server.stop()?;
    Ok(())
}

async fn use_it(db: &Db) -> Result<(), Box<dyn Error>> {
    // Each file is applied once, however many of these start at the same time.
    Migrator::from_files(MIGRATIONS)?.up(db).await?;

    // Values are parameters, never part of the text; a `String` is not even taken as text.
    let insert = "insert into users (name, email) values ($1, $2) returning id";
    let ann: i64 = db.query_value(insert, ("Ann", "ann@example.com")).await?;
    let bob: i64 = db.query_value(insert, ("Bob", None::<&str>)).await?;
    println!("inserted {ann} and {bob}");

    // Any number of rows is one parameter: an array.
    let names = ["Cid", "Dan", "Eve"].as_slice();
    let inserted = db
        .execute(
            "insert into users (name) select unnest($1::text[])",
            (names,),
        )
        .await?;
    println!("and {inserted} more");

    // Rows are read into a struct, a tuple, or column by column.
    let select = "select id, name, email, signed_up_on::text from users order by id";
    let users: Vec<User> = db.query_as(select, ()).await?;
    for user in &users {
        let email = user.email.as_deref().unwrap_or("no address");
        println!("{}: {} ({email}), since {}", user.id, user.name, user.since);
    }
    let (count, longest): (i64, i32) = db
        .query_one("select count(*), max(length(name)) from users", ())
        .await?;
    println!("{count} users, the longest name has {longest} letters");
    for row in db.query("select id, name from users limit 2", ()).await? {
        let (id, name): (i64, &str) = (row.get("id")?, row.get("name")?);
        println!("{id} is {name}");
    }

    // None, one or many: the method says what is expected.
    let nobody: Option<(i64,)> = db
        .query_opt("select id from users where name = $1", ("Zoe",))
        .await?;
    assert!(nobody.is_none());
    let names: Vec<String> = db
        .query_column("select name from users order by 1", ())
        .await?;
    assert_eq!(names, ["Ann", "Bob", "Cid", "Dan", "Eve"]);

    // With `raw!` values stand where they belong; they are parameters all the same.
    let changed = db.execute(
        raw!(
            "update users set email = {} where id = {}",
            "bob@example.com",
            bob
        ),
        (),
    );
    assert_eq!(changed.await?, 1);

    errors(db).await
}

/// An error says what kind it is, what the server said, and what to do about it.
async fn errors(db: &Db) -> Result<(), Box<dyn Error>> {
    let twice = db
        .execute(
            "insert into users (name, email) values ($1, $2)",
            ("Ann again", "ann@example.com"),
        )
        .await;
    match twice {
        Err(error) if error.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION) => {
            println!("refused by {:?}: {error}", error.constraint());
        }
        other => return Err(format!("a unique index lets it pass: {other:?}").into()),
    }
    let missing = db
        .query_value::<String>("select name from users where id = $1", (-1_i64,))
        .await;
    match missing {
        Err(error) if error.kind() == ErrorKind::NotFound => println!("not found: {error}"),
        other => return Err(format!("there is such a user: {other:?}").into()),
    }
    Ok(())
}
