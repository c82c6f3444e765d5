//! The query builder: statements put together by methods. What a caller gives becomes a value or an
//! error, never SQL.
//!
//! ```sh
//! cargo run --package aquifer --example query_builder
//! ```
//!
//! It starts a private PostgreSQL.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example asks for the time, and shows what it does by printing it"
)]

use std::error::Error;
use std::time::SystemTime;

use aquifer::migrate::Migrator;
use aquifer::{Db, Embedded, QueryBuilder, values};

const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_users.sql",
    "create table users (
         id bigint generated always as identity primary key,
         name text not null,
         email text unique,
         active boolean not null default false,
         created_at timestamptz not null default now(),
         updated_at timestamptz
     );
     insert into users (name, active, created_at)
     select 'User ' || day, day % 4 > 0, date '2026-01-01' + day from generate_series(1, 16) as day;",
)];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Embedded::start()?;
    let db = Db::connect(&server.url()).await?;
    Migrator::from_files(MIGRATIONS)?.up(&db).await?;
    use_it(&db).await?;
    db.close().await?;
    server.stop()?;
    Ok(())
}

async fn use_it(db: &Db) -> Result<(), Box<dyn Error>> {
    // Create a query builder; `db.from` does so too.
    let qb = QueryBuilder::new(db);

    // Build and execute a query.
    let users = qb
        .from("users")
        .select(("id", "name", "email"))
        .where_("active", "=", true)
        .order_by("created_at", "DESC")
        .limit(10)
        .get()
        .await?;
    let newest: String = users.first().ok_or("twelve are active")?.get("name")?;
    println!(
        "{} users, of whom {newest} came last and is active",
        users.len()
    );
    assert_eq!((users.len(), newest.as_str()), (10, "User 15"));

    // Insert a record: the row comes back.
    let user = db
        .from("users")
        .insert(values! { name: "John", email: "john@example.com", active: true })
        .await?;
    let id: i64 = user.get("id")?;
    println!("inserted {} as {id}", user.get::<String>("name")?);

    // Update a record: the number of rows comes back.
    let affected_rows = db
        .from("users")
        .where_("id", "=", id)
        .update(values! { name: "John Doe", updated_at: SystemTime::now() })
        .await?;
    let name: Option<String> = db.from("users").where_("id", "=", id).value("name").await?;
    println!("updated {affected_rows} row: {name:?}");
    assert_eq!((affected_rows, name.as_deref()), (1, Some("John Doe")));

    // Delete a record.
    let affected_rows = db.from("users").where_("id", "=", id).delete().await?;
    println!("deleted {affected_rows} row");
    assert_eq!(affected_rows, 1);

    // Without a condition nothing is deleted, unless that is said.
    let refused = db.from("users").delete().await;
    println!("{}", refused.err().ok_or("all users were deleted")?);
    assert_eq!(db.from("users").count().await?, 16);
    Ok(())
}
