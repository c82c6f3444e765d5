//! The code of `guides/*.md` in which sqlx or deadpool stand: compiled here, run here, and compared
//! with the pages by `cargo xtask tidy`.
//!
//! `cargo xtask ci guides`. The other code of the guides is in `crates/aquifer/tests/it/guides`.

mod beside_sqlx;
mod from_deadpool;
mod from_sqlx;

use std::error::Error;

use aquifer::migrate::Migrator;
use aquifer::{Db, values};
use aquifer_testkit::Postgres;

type Failure = Box<dyn Error + Send + Sync>;

const MIGRATIONS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../crates/aquifer/tests/it/guides/migrations"
);

/// The URL of a database of its own.
fn empty() -> String {
    let server = Postgres::shared();
    let database = server.create_database();
    let url = server.tcp_url();
    let (server, _) = url.rsplit_once('/').expect("a URL names a database");
    format!("{server}/{}", database.name)
}

/// One with the rows that the tests of the library have: Ann (1) with twelve posts, Ben (2) with one,
/// and Cid (3), who is not active.
async fn filled() -> Result<String, Failure> {
    let url = empty();
    let db = Db::connect(&url).await?;
    Migrator::from_dir(MIGRATIONS)?.up(&db).await?;
    let users = [("Ann", true), ("Ben", true), ("Cid", false)];
    let user = |(name, active): (&str, bool)| {
        let email = format!("{}@example.com", name.to_lowercase());
        values! { name: name, email: email, active: active }
    };
    db.from("users").insert_many(users.map(user)).await?;
    let posts = (1..=12).map(|number| (1_i64, format!("Ann {number}")));
    let posts = posts.chain([(2, "100% Ben".to_owned())]);
    let post = |(user, title): (i64, String)| values! { user_id: user, title: title };
    db.from("posts").insert_many(posts.map(post)).await?;
    db.close().await?;
    Ok(url)
}
