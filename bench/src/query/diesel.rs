//! Diesel, rendering what it would send; values are bound when it sends, and so cost nothing here.

use diesel::pg::{Pg, PgQueryBuilder};
use diesel::prelude::*;
use diesel::query_builder::{QueryBuilder, QueryFragment};

use super::{Builder, Seen};

/// Its builder, without its values.
///
/// A connection of Diesel renders once per type of query, where the type says all about the text.
pub(super) const BUILDER: Builder = Builder {
    name: "diesel",
    seed,
    wide,
};

diesel::table! {
    users (id) {
        id -> Int8,
        name -> Text,
        email -> Text,
        active -> Bool,
        age -> Int4,
        mood -> Text,
        score -> Float8,
        tags -> Array<Text>,
        meta -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    posts (id) {
        id -> Int8,
        user_id -> Int8,
        title -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    comments (id) {
        id -> Int8,
        post_id -> Int8,
        body -> Text,
    }
}

diesel::joinable!(posts -> users (user_id));
diesel::joinable!(comments -> posts (post_id));
diesel::allow_tables_to_appear_in_same_query!(users, posts, comments);

fn show(query: impl QueryFragment<Pg>, seen: Seen<'_>) {
    let mut text = PgQueryBuilder::default();
    query.to_sql(&mut text, &Pg).expect("a query");
    seen(&text.finish());
}

fn seed(user_id: i64, seen: Seen<'_>) {
    let query = posts::table
        .filter(posts::user_id.eq(user_id))
        .order(posts::created_at.desc())
        .limit(10);
    show(query, seen);
}

fn wide(ids: &[i64], seen: Seen<'_>) {
    let query = users::table
        .inner_join(posts::table.left_join(comments::table))
        .filter(users::active.eq(true))
        .filter(users::id.eq_any(ids))
        .order(users::created_at.desc())
        .limit(50)
        .select((
            users::id,
            users::name,
            users::email,
            users::active,
            users::age,
            users::mood,
            users::score,
            users::tags,
            users::meta,
            users::created_at,
            posts::title,
            comments::body.nullable(),
        ));
    show(query, seen);
}
