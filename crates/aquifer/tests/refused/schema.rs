// The entities that the cases beside this file use.
use aquifer::entity::*;
use aquifer::{Db, insert};

#[derive(Entity)]
#[entity(table = "users", soft_delete = deleted_at, has_many(POSTS = Post::USER_ID))]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    active: bool,
    nick: Option<String>,
    deleted_at: Option<std::time::SystemTime>,
}

#[derive(Entity)]
#[entity(table = "posts")]
struct Post {
    #[entity(key, auto)]
    id: i64,
    #[entity(belongs_to = User::ID)]
    user_id: i64,
    title: String,
}
