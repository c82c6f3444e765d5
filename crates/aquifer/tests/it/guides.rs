//! The code of `guides/*.md`: compiled here, run here, and compared with the pages by `tidy`.

mod best_practices;
mod cache;
mod dynamic;
mod from_deadpool;
mod from_sqlx;
mod from_typescript;
mod readme;
#[cfg(feature = "testing")]
mod repositories;
mod typed;

use aquifer::migrate::Migrator;
use aquifer::{Db, Error, values};

use crate::support;

/// Brings the schema to the state of this program.
async fn migrate(db: &Db) -> Result<(), Error> {
    let migrator = Migrator::from_files([
        (
            "0001_users.sql",
            include_str!("guides/migrations/0001_users.sql"),
        ),
        (
            "0002_posts.sql",
            include_str!("guides/migrations/0002_posts.sql"),
        ),
    ])?;
    migrator.up(db).await?;
    Ok(())
}

/// The tables, without rows.
async fn empty() -> Db {
    let db = support::db().await;
    migrate(&db).await.unwrap();
    db
}

/// Ann (1) with twelve posts, Ben (2) with one, and Cid (3), who is not active.
async fn filled() -> Db {
    let db = empty().await;
    let users = [("Ann", true), ("Ben", true), ("Cid", false)];
    let user = |(name, active): (&str, bool)| {
        values! { name: name, email: format!("{}@example.com", name.to_lowercase()), active: active }
    };
    db.from("users").insert_many(users.map(user)).await.unwrap();
    let posts = (1..=12).map(|number| (1_i64, format!("Ann {number}"), number));
    let posts = posts.chain([(2, "100% Ben".to_owned(), 30)]);
    let post = |(user, title, views): (i64, String, i32)| {
        values! { user_id: user, title: title, views: views }
    };
    db.from("posts").insert_many(posts.map(post)).await.unwrap();
    db
}
