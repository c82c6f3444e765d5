//! Queries put together by the builder, against a real server.

mod ancestor;
mod arrays;
mod changes;
mod expressions;
mod features;
mod hazards;
mod pages;
mod peers;
mod prepared;
mod previews;
mod seed;

use aquifer::{Db, Session};

use crate::support;

/// A database with users, posts and some rows.
async fn database() -> Db {
    let db = support::db().await;
    db.execute_script(
        "create type mood as enum ('calm', 'cross');
         create table users (
             id bigint generated always as identity primary key,
             name text not null,
             email text unique,
             active boolean not null default true,
             age int,
             mood mood not null default 'calm',
             score numeric(10, 2),
             tags text[] not null default '{}',
             meta jsonb not null default '{}',
             created_at timestamptz not null default now(),
             updated_at timestamptz
         );
         create table posts (
             id bigint generated always as identity primary key,
             user_id bigint not null references users,
             title text not null,
             views int not null default 0,
             created_at timestamptz not null
         );
         insert into users (name, email, active, age, mood, tags, meta) values
             ('Ann', 'ann@example.com', true, 30, 'calm', '{a,b}', '{\"address\": {\"city\": \"Bonn\"}}'),
             ('Bob', 'bob@example.com', true, null, 'cross', '{b}', '{\"address\": {\"city\": \"Kiel\"}}'),
             ('Cid', null, false, 50, 'calm', '{}', '{}');
         insert into posts (user_id, title, views, created_at)
             select 1 + number % 2, 'post ' || number, number, timestamptz '2026-01-01' + number * interval '1 hour'
             from generate_series(1, 30) number;",
    )
    .await
    .unwrap();
    db
}
