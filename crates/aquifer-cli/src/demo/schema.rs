//! The tables that the other steps use.

use aquifer::migrate::{Applied, Migrator};
use aquifer::{Db, Error, Session};

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("schema.rs");

/// How many accounts there are, and what each holds at first.
pub(super) const ACCOUNTS: u32 = 50;
pub(super) const BALANCE: i64 = 1_000;

const MIGRATIONS: [(&str, &str); 4] = [
    ("0001_users.sql", include_str!("migrations/0001_users.sql")),
    (
        "0002_accounts.sql",
        include_str!("migrations/0002_accounts.sql"),
    ),
    (
        "0003_scenes.sql",
        include_str!("migrations/0003_scenes.sql"),
    ),
    (
        "0004_articles.sql",
        include_str!("migrations/0004_articles.sql"),
    ),
];

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "A schema, made by migrations",
        why: "Each file takes effect as a whole, once, however many instances of a service start \
              at the same time. Files and table are those of sqlx.",
        code: excerpt(SOURCE, "migrate"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    // As two instances that start at once; the number of files that each of them has applied.
    let (one, other) = tokio::try_join!(migrate(&scene.db), migrate(&scene.witness))?;
    let applied = one.len() + other.len();
    step.check(
        applied == MIGRATIONS.len(),
        &format!(
            "two runners at once applied {} in all: {} and {}",
            figures::plural(applied, "file"),
            one.len(),
            other.len()
        ),
    );
    let tables: Vec<String> = scene
        .db
        .query_column(
            "select tablename::text from pg_tables where schemaname = current_schema() \
             and tablename <> '_sqlx_migrations' order by tablename",
            (),
        )
        .await?;
    let names = tables.join(", ");
    step.check(
        tables.len() == 8,
        &format!("eight tables are there: {names}"),
    );
    let accounts = fill(&scene.db).await?;
    step.check(
        accounts == u64::from(ACCOUNTS),
        &format!(
            "{} were filled with {} each",
            figures::plural(accounts, "account"),
            figures::count(BALANCE)
        ),
    );
    Ok(())
}

async fn migrate(db: &Db) -> Result<Vec<Applied>, Error> {
    // ANCHOR: migrate
    let migrator = Migrator::from_files(MIGRATIONS)?; // by include_str!
    let applied = migrator.up(db).await?;
    // ANCHOR_END: migrate
    Ok(applied)
}

async fn fill(db: &Db) -> Result<u64, Error> {
    db.execute(
        "insert into accounts select id, $1 from generate_series(1, $2) as id",
        (BALANCE, ACCOUNTS),
    )
    .await
}
