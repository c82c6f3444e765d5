//! The connection wrapper's block of the TypeScript ancestor, in Rust: `query` and
//! `withTransaction`.

use aquifer::{Db, Error, Row, Session};

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("seed_block.rs");

/// A user that no insert ever makes.
const NOBODY: i64 = -1;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "A query, and a transaction",
        why: "Code that only knows `db` takes part in the transaction around it without being \
              handed it; if any of it fails, nothing has happened.",
        code: excerpt(SOURCE, "seed"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    let john = sign_up(db).await?;
    let bio: String = db
        .query_value("select bio from profiles where user_id = $1", (john,))
        .await?;
    step.check(
        bio == "Hello",
        &format!("user {john} was inserted with the profile {bio:?}"),
    );
    let rows = active_users(db).await?;
    let mut names = Vec::with_capacity(rows.len());
    for row in &rows {
        names.push(row.get::<String>("name")?);
    }
    step.check(
        names == ["John"],
        &format!(
            "the query finds {}: {}",
            figures::plural(names.len(), "user"),
            names.join(", ")
        ),
    );
    refused(step, db).await
}

#[rustfmt::skip] // Laid out for the width of a terminal.
// ANCHOR: seed
async fn active_users(db: &Db) -> Result<Vec<Row>, Error> {
    db.query("select * from users where active = $1", (true,)).await
}
// ANCHOR_END: seed

#[rustfmt::skip]
// ANCHOR: seed
async fn sign_up(db: &Db) -> Result<i64, Error> {
    db.with_transaction(async |_| {
        let id: i64 = db
            .query_value(
                "insert into users (name) values ($1) returning id",
                ("John",),
            )
            .await?;
        add_profile(db, id).await?;
        Ok(id)
    })
    .await
}
// ANCHOR_END: seed

#[rustfmt::skip]
// ANCHOR: seed
async fn add_profile(db: &Db, user: i64) -> Result<u64, Error> {
    db.execute(
        "insert into profiles (user_id, bio) values ($1, $2)",
        (user, "Hello"),
    )
    .await
}
// ANCHOR_END: seed

/// A second user whose profile cannot be inserted: the user must not be there either.
async fn refused(step: &mut Step, db: &Db) -> Result<(), Failure> {
    let outcome = db
        .with_transaction(async |tx| {
            tx.execute("insert into users (name) values ($1)", ("Jane",))
                .await?;
            add_profile(db, NOBODY).await
        })
        .await;
    let users: i64 = db.query_value("select count(*) from users", ()).await?;
    let constraint = match &outcome {
        Ok(_) => "nothing".to_owned(),
        Err(error) => error.constraint().unwrap_or("another error").to_owned(),
    };
    step.check(
        constraint == "profiles_user_id_fkey",
        &format!("a profile for a user that isn't there was refused by {constraint}"),
    );
    step.check(
        users == 1,
        &format!(
            "the user inserted before it was rolled back: there is {}",
            figures::plural(users, "user")
        ),
    );
    Ok(())
}
