use aquifer::entity::Entity;
use aquifer::{Db, Error, insert, values};

use super::empty;

#[derive(Entity)]
#[entity(table = "users")]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
}

/// On structs: a wrong column, a wrong type or a missing field does not compile.
async fn typed(db: &Db) -> Result<Vec<User>, Error> {
    insert!(User { name: "John" }).execute(db).await?;
    User::query()
        .filter(User::NAME.starts_with("Jo"))
        .order_by(User::ID.desc())
        .limit(10)
        .fetch(db)
        .await
}

/// Put together by methods: what a caller gives becomes a value or an error, never SQL.
async fn dynamic(db: &Db, id: i64) -> Result<u64, Error> {
    db.from("users")
        .where_("id", "=", id)
        .update(values! { name: "Jane" })
        .await
}

#[tokio::test]
async fn both_tiers_do_what_they_say() -> Result<(), Error> {
    let db = empty().await;
    let users = typed(&db).await?;
    assert_eq!((users.len(), &*users[0].name), (1, "John"));
    assert_eq!(dynamic(&db, users[0].id).await?, 1);
    assert_eq!(typed(&db).await?.len(), 1);
    Ok(())
}
