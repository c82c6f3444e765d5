//! Both tiers of the library.

use std::time::SystemTime;

use aquifer::Direction::Desc;
use aquifer::entity::Entity;
use aquifer::query::{self, Plan};

use super::{Builder, Seen};

/// Queries put together by methods that take names.
pub(super) const BUILDER: Builder = Builder {
    name: "aquifer",
    seed,
    wide,
};

/// Queries over entities, whose names and types the compiler checks.
pub(super) const ENTITIES: Builder = Builder {
    name: "aquifer, entities",
    seed: entities_seed,
    wide: entities_wide,
};

fn show(plan: Result<Plan, aquifer::Error>, seen: Seen<'_>) {
    seen(plan.expect("a plan").sql());
}

fn seed(user_id: i64, seen: Seen<'_>) {
    let posts = query::from("posts")
        .where_("user_id", "=", user_id)
        .order_by("created_at", Desc)
        .limit(10);
    show(posts.build(), seen);
}

fn wide(ids: &[i64], seen: Seen<'_>) {
    let users = query::from("users as u")
        .select((
            "u.id",
            "u.name",
            "u.email",
            "u.active",
            "u.age",
            "u.mood",
            "u.score",
            "u.tags",
            "u.meta",
            "u.created_at",
            "p.title",
            "c.body",
        ))
        .join("posts as p", "p.user_id", "=", "u.id")
        .left_join("comments as c", "c.post_id", "=", "p.id")
        .where_("u.active", "=", true)
        .where_in("u.id", ids)
        .order_by("u.created_at", Desc)
        .limit(50);
    show(users.build(), seen);
}

#[derive(Entity)]
#[entity(table = "users", has_many(POSTS = Post::USER_ID))]
struct User {
    #[entity(key)]
    id: i64,
    name: String,
    email: String,
    active: bool,
    age: i32,
    mood: String,
    score: f64,
    tags: Vec<String>,
    meta: Option<String>,
    created_at: SystemTime,
}

#[derive(Entity)]
#[entity(table = "posts", has_many(COMMENTS = Comment::POST_ID))]
struct Post {
    #[entity(key)]
    id: i64,
    user_id: i64,
    title: String,
    created_at: SystemTime,
}

#[derive(Entity)]
#[entity(table = "comments")]
struct Comment {
    #[entity(key)]
    id: i64,
    post_id: i64,
    body: String,
}

fn entities_seed(user_id: i64, seen: Seen<'_>) {
    let posts = Post::query()
        .filter(Post::USER_ID.eq(user_id))
        .order_by(Post::CREATED_AT.desc())
        .limit(10);
    show(posts.build(), seen);
}

fn entities_wide(ids: &[i64], seen: Seen<'_>) {
    let users = User::query()
        .join(User::POSTS)
        .left_join(Post::COMMENTS)
        .filter(User::ACTIVE.eq(true))
        .filter(User::ID.is_in(ids.to_vec()))
        .order_by(User::CREATED_AT.desc())
        .limit(50)
        .select((
            User::ID,
            User::NAME,
            User::EMAIL,
            User::ACTIVE,
            User::AGE,
            User::MOOD,
            User::SCORE,
            User::TAGS,
            User::META,
            User::CREATED_AT,
            Post::TITLE,
            Comment::BODY,
        ));
    show(users.build(), seen);
}
