use std::time::SystemTime;

use aquifer::entity::Entity;
use aquifer::{Db, Decode, Encode, Session, insert};
use serde::{Deserialize, Serialize};

use crate::support;

pub(super) const TABLES: &str = "
    create schema app;
    create type app.mood as enum ('glad', 'very sad');
    create table app.users (
        id bigserial primary key,
        \"fullName\" text not null,
        email text not null unique,
        active bool not null default true,
        nick text,
        mood app.mood not null default 'glad',
        settings jsonb not null default '{\"theme\": \"light\"}',
        \"managerId\" bigint references app.users,
        \"deletedAt\" timestamptz
    );
    create table posts (
        id bigserial primary key,
        user_id bigint not null references app.users,
        title text not null,
        views int not null default 0,
        lock_version int not null default 1,
        deleted_at timestamptz
    );
    create table lines (
        order_id bigint not null,
        number int not null,
        amount numeric not null default 0,
        primary key (order_id, number)
    );
";

#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[aquifer(rename_all = "lowercase")]
pub(super) enum Mood {
    Glad,
    #[aquifer(rename = "very sad")]
    Sad,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Settings {
    pub theme: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(
    table = "app.users",
    rename_all = "camelCase",
    soft_delete = deleted_at,
    has_many(POSTS = Post::USER_ID)
)]
pub(super) struct User {
    #[entity(key, auto)]
    pub id: i64,
    pub full_name: String,
    pub email: String,
    #[entity(default)]
    pub active: bool,
    pub nick: Option<String>,
    #[entity(default)]
    pub mood: Mood,
    #[entity(json, default)]
    pub settings: Settings,
    #[entity(belongs_to = User::ID)]
    pub manager_id: Option<i64>,
    pub deleted_at: Option<SystemTime>,
}

aquifer::alias!(pub(super) Manager = User as "manager");

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "posts", version = lock_version, soft_delete = deleted_at)]
pub(super) struct Post {
    #[entity(key, auto)]
    pub id: i64,
    #[entity(belongs_to = User::ID)]
    pub user_id: i64,
    pub title: String,
    #[entity(default)]
    pub views: i32,
    pub lock_version: i32,
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "lines", key(order_id, number))]
pub(super) struct Line {
    pub order_id: i64,
    pub number: i32,
    #[entity(default)]
    pub amount: String,
}

/// An empty schema.
pub(super) async fn empty() -> Db {
    let db = support::db_of(4).await;
    db.execute_script(TABLES).await.unwrap();
    db
}

/// Ann, who is Ben's manager, has two posts, Ben has one, and Cid has none.
pub(super) async fn filled() -> Db {
    let db = empty().await;
    let ann = insert!(User {
        full_name: "Ann",
        email: "ann@example.com",
        nick: "a_n"
    });
    let ann = ann.fetch(&db).await.unwrap();
    let ben = insert!(User {
        full_name: "Ben",
        email: "ben@example.com",
        mood: Mood::Sad,
        manager_id: ann.id,
    });
    let ben = ben.fetch(&db).await.unwrap();
    let cid = insert!(User {
        full_name: "Cid",
        email: "cid@example.com",
        active: false
    });
    cid.execute(&db).await.unwrap();
    for (user_id, title, views) in [
        (ann.id, "Rust", 10),
        (ann.id, "100% sure", 20),
        (ben.id, "Tea", 30),
    ] {
        let post = insert!(Post {
            user_id,
            title,
            views
        });
        post.execute(&db).await.unwrap();
    }
    db
}
