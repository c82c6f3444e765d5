use std::sync::Arc;
use std::time::SystemTime;

use aquifer::entity::Entity;
use aquifer::testing::FakeRepository;
use aquifer::{Db, Decode, Encode, Repository, Session, insert};
use serde::Deserialize;

use crate::support;

pub(super) const TABLES: &str = "
    create schema app;
    create type app.kind as enum ('guest', 'member');
    create table app.users (
        id bigserial primary key,
        \"fullName\" text not null,
        email text not null unique,
        age int,
        active bool not null default true,
        kind app.kind not null default 'guest',
        \"lockVersion\" int not null default 1,
        \"deletedAt\" timestamptz
    );
    create table posts (
        id bigserial primary key,
        user_id bigint not null,
        editor_id bigint,
        title text not null,
        deleted_at timestamptz
    );
    create table comments (id bigserial primary key, post_id bigint not null, words text not null);
    create table seats (\"row\" text, number int, guest text, primary key (\"row\", number));
    create table tokens (id uuid primary key, note text not null, tags text[] not null default '{}');
";

#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
#[aquifer(rename_all = "lowercase")]
pub(super) enum Kind {
    Guest,
    Member,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(
    table = "app.users",
    rename_all = "camelCase",
    soft_delete = deleted_at,
    version = lock_version,
    has_many(POSTS = Post::USER_ID)
)]
pub(super) struct User {
    #[entity(key, auto)]
    pub id: i64,
    pub full_name: String,
    pub email: String,
    pub age: Option<i32>,
    #[entity(default)]
    pub active: bool,
    #[entity(default)]
    pub kind: Kind,
    pub lock_version: i32,
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity, Deserialize)]
#[entity(table = "posts", soft_delete = deleted_at, has_many(COMMENTS = Comment::POST_ID))]
pub(super) struct Post {
    #[entity(key, auto)]
    pub id: i64,
    #[entity(belongs_to = User::ID)]
    pub user_id: i64,
    #[entity(belongs_to = User::ID)]
    pub editor_id: Option<i64>,
    pub title: String,
    #[serde(skip)]
    pub deleted_at: Option<SystemTime>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "comments")]
pub(super) struct Comment {
    #[entity(key, auto)]
    pub id: i64,
    pub post_id: i64,
    pub words: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "seats", key(row, number))]
pub(super) struct Seat {
    pub row: String,
    pub number: i32,
    pub guest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "tokens")]
pub(super) struct Token {
    #[entity(key)]
    pub id: String,
    pub note: String,
    #[entity(default)]
    pub tags: Vec<String>,
}

/// What a service is given.
pub(super) struct World {
    pub users: Arc<dyn Repository<User>>,
    pub posts: Arc<dyn Repository<Post>>,
    pub comments: Arc<dyn Repository<Comment>>,
    pub seats: Arc<dyn Repository<Seat>>,
    pub db: Option<Db>,
}

impl World {
    pub(super) async fn real() -> Self {
        let db = empty().await;
        Self {
            users: Arc::new(db.repo()),
            posts: Arc::new(db.repo()),
            comments: Arc::new(db.repo()),
            seats: Arc::new(db.repo()),
            db: Some(db),
        }
    }

    pub(super) async fn fake() -> Self {
        let users = FakeRepository::new()
            .default(User::ACTIVE, true)
            .default(User::KIND, Kind::Guest)
            .unique(User::EMAIL);
        std::future::ready(Self {
            users: Arc::new(users),
            posts: Arc::new(FakeRepository::new()),
            comments: Arc::new(FakeRepository::new()),
            seats: Arc::new(FakeRepository::new()),
            db: None,
        })
        .await
    }

    /// One user for each name, whose ages are 20, 30 and so on.
    pub(super) async fn users(&self, names: &[&str]) -> Vec<User> {
        let mut users = Vec::new();
        for (number, name) in (2..).zip(names) {
            let email = format!("{name}@example.com");
            let row = insert!(User {
                full_name: *name,
                email,
                age: number * 10
            });
            users.push(self.users.insert(row).await.unwrap());
        }
        users
    }

    pub(super) async fn post(&self, user: &User, title: &str) -> Post {
        let post = insert!(Post {
            user_id: user.id,
            title
        });
        self.posts.insert(post).await.unwrap()
    }

    pub(super) async fn assert_whole(&self) {
        if let Some(db) = &self.db {
            support::assert_whole(db).await;
        }
    }
}

/// An empty schema.
pub(super) async fn empty() -> Db {
    let db = support::db_of(4).await;
    db.execute_script(TABLES).await.unwrap();
    db
}

pub(super) fn names(users: &[User]) -> Vec<&str> {
    users.iter().map(|user| &*user.full_name).collect()
}
