//! Queries on structs, and queries put together by methods.

use aquifer::entity::Entity;
use aquifer::{Db, Error, insert, values};

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("tiers.rs");

// ANCHOR: tiers
#[derive(Entity)]
#[entity(table = "users")]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    #[entity(default)]
    active: bool,
}
// ANCHOR_END: tiers

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "Two tiers of queries",
        why: "One on structs, which the compiler checks; one put together by methods, for what is \
              known at run time only. Below both there is one plan, and one text of SQL.",
        code: excerpt(SOURCE, "tiers"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    let (ann, affected) = change(db).await?;
    step.check(
        ann.active && affected == 1,
        &format!(
            "{} was inserted as user {}; updated: {}",
            ann.name,
            ann.id,
            figures::plural(affected, "row")
        ),
    );
    let (users, names) = read(db).await?;
    let typed: Vec<_> = users.into_iter().map(|user| user.name).collect();
    step.check(
        typed == names,
        &format!("both tiers find the same users: {}", names.join(", ")),
    );
    let (typed, dynamic) = texts(db)?;
    step.check(typed == dynamic, "and send the same text:");
    step.quote(&typed);
    Ok(())
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn change(db: &Db) -> Result<(User, u64), Error> {
    // ANCHOR: tiers
    let ann = insert!(User { name: "Ann" }).fetch(db).await?;
    let affected = db.from("users").where_("id", "=", ann.id)
        .update(values! { name: "Anna" }).await?;
    // ANCHOR_END: tiers
    Ok((ann, affected))
}

#[rustfmt::skip]
async fn read(db: &Db) -> Result<(Vec<User>, Vec<String>), Error> {
    // ANCHOR: tiers
    let users = User::query().filter(User::ACTIVE.eq(true))
        .order_by(User::NAME.asc()).limit(10).fetch(db).await?;
    let names = db.from("users").where_("active", "=", true)
        .order_by("name", "asc").limit(10).pluck("name").await?;
    // ANCHOR_END: tiers
    Ok((users, names))
}

fn texts(db: &Db) -> Result<(String, String), Error> {
    let typed = User::query()
        .filter(User::ACTIVE.eq(true))
        .order_by(User::NAME.asc());
    let dynamic = db
        .from("users")
        .select(("id", "name", "active"))
        .where_("active", "=", true)
        .order_by("name", "asc");
    Ok((typed.limit(10).to_sql()?, dynamic.limit(10).to_sql()?))
}
