use std::path::Path;
use std::time::Duration;

use aquifer::entity::Entity;
use aquifer::migrate::Migrator;
use aquifer::{Config, Db, Error, FromRow, Session, SqlState, Transaction};

use super::filled;
use crate::support;

async fn connect(url: &str) -> Result<Db, Error> {
    let config = Config::from_url(url)?
        .connections_max(10)
        .acquire_timeout(Duration::from_secs(5));
    Db::connect_with(&config).await
}

async fn migrate(db: &Db, directory: &Path) -> Result<(), Error> {
    Migrator::from_dir(directory)?.up(db).await?;
    Ok(())
}

#[derive(Debug, FromRow)]
struct User {
    id: i64,
    name: String,
    email: Option<String>,
}

async fn active(db: &Db) -> Result<Vec<User>, Error> {
    db.query_as(
        "select id, name, email from users where active = $1 order by id",
        (true,),
    )
    .await
}

async fn find(db: &Db, id: i64) -> Result<Option<User>, Error> {
    db.query_opt("select id, name, email from users where id = $1", (id,))
        .await
}

async fn insert(db: &Db, name: &str, email: &str) -> Result<i64, Error> {
    db.query_value(
        "insert into users (name, email) values ($1, $2) returning id",
        (name, email),
    )
    .await
}

#[derive(Debug, Entity)]
#[entity(table = "users")]
struct Account {
    #[entity(key, auto)]
    id: i64,
    name: String,
    #[entity(default)]
    active: bool,
}

async fn active_checked(db: &Db) -> Result<Vec<Account>, Error> {
    Account::query()
        .filter(Account::ACTIVE.eq(true))
        .order_by(Account::ID.asc())
        .fetch(db)
        .await
}

/// `None` when the address is taken.
async fn insert_new(db: &Db, name: &str, email: &str) -> Result<Option<i64>, Error> {
    match insert(db, name, email).await {
        Ok(id) => Ok(Some(id)),
        Err(error) if error.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn sign_up(db: &Db, name: &str, bio: &str) -> Result<i64, Error> {
    db.with_transaction(async |tx| {
        let id: i64 = tx
            .query_value("insert into users (name) values ($1) returning id", (name,))
            .await?;
        add_profile(&tx, id, bio).await?;
        Ok(id)
    })
    .await
}

async fn add_profile(tx: &Transaction, user: i64, bio: &str) -> Result<(), Error> {
    tx.execute(
        "insert into profiles (user_id, bio) values ($1, $2)",
        (user, bio),
    )
    .await?;
    Ok(())
}

async fn search(db: &Db, name: Option<&str>, limit: u64) -> Result<Vec<User>, Error> {
    db.from("users")
        .select(("id", "name", "email"))
        .when(name, |users, name| users.where_icontains("name", name))
        .order_by("id", "asc")
        .limit(limit)
        .get_as()
        .await
}

async fn insert_all(db: &Db, names: &[&str]) -> Result<u64, Error> {
    let rows = names.iter().map(|name| (*name,));
    db.insert_many("users", ["name"], rows).await
}

async fn letters(db: &Db) -> Result<usize, Error> {
    let mut names = db
        .stream_as::<(String,)>("select name from users", ())
        .await?;
    let mut letters = 0;
    while let Some((name,)) = names.next().await? {
        letters += name.chars().count();
    }
    Ok(letters)
}

#[tokio::test]
async fn the_halves_after_do_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    let names: Vec<_> = active(&db)
        .await?
        .into_iter()
        .map(|user| user.name)
        .collect();
    assert_eq!(names, ["Ann", "Ben"]);
    let accounts = active_checked(&db).await?;
    let ben = &accounts[1];
    assert_eq!((ben.id, &*ben.name, ben.active), (2, "Ben", true));
    let ann = find(&db, 1).await?.unwrap();
    assert_eq!((ann.id, ann.email.as_deref()), (1, Some("ann@example.com")));
    assert!(find(&db, -1).await?.is_none());
    assert_eq!(insert_new(&db, "Dan", "dan@example.com").await?, Some(4));
    assert_eq!(insert_new(&db, "Dan", "dan@example.com").await?, None);

    let eve = sign_up(&db, "Eve", "Hello").await?;
    let bio: String = db
        .query_value("select bio from profiles where user_id = $1", (eve,))
        .await?;
    assert_eq!(bio, "Hello");

    let found = search(&db, Some("N"), 2).await?;
    assert_eq!(
        found.iter().map(|user| &*user.name).collect::<Vec<_>>(),
        ["Ann", "Ben"]
    );
    assert_eq!(search(&db, Some("%"), 2).await?.len(), 0);
    assert_eq!(insert_all(&db, &["Fay", "Gus"]).await?, 2);
    assert_eq!(letters(&db).await?, 7 * 3);
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn a_pool_is_opened_and_migrated_by_the_same_files() -> Result<(), Error> {
    let db = connect(&support::url()).await?;
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/guides/migrations");
    migrate(&db, Path::new(directory)).await?;
    migrate(&db, Path::new(directory)).await?;
    assert_eq!(search(&db, None, 1).await?.len(), 0);
    db.close().await?;
    Ok(())
}
