//! sea-query, the builder below SeaORM.

use sea_query::{Asterisk, Expr, ExprTrait, Order, PostgresQueryBuilder, Query};

use super::{Builder, Seen};

/// Its builder, with its values.
pub(super) const BUILDER: Builder = Builder {
    name: "sea-query",
    seed,
    wide,
};

fn seed(user_id: i64, seen: Seen<'_>) {
    let (text, _values) = Query::select()
        .column(Asterisk)
        .from("posts")
        .and_where(Expr::col("user_id").eq(user_id))
        .order_by("created_at", Order::Desc)
        .limit(10)
        .build(PostgresQueryBuilder);
    seen(&text);
}

fn wide(ids: &[i64], seen: Seen<'_>) {
    let (text, _values) = Query::select()
        .columns([
            ("u", "id"),
            ("u", "name"),
            ("u", "email"),
            ("u", "active"),
            ("u", "age"),
            ("u", "mood"),
            ("u", "score"),
            ("u", "tags"),
            ("u", "meta"),
            ("u", "created_at"),
            ("p", "title"),
            ("c", "body"),
        ])
        .from_as("users", "u")
        .join_as(
            sea_query::JoinType::InnerJoin,
            "posts",
            "p",
            Expr::col(("p", "user_id")).equals(("u", "id")),
        )
        .join_as(
            sea_query::JoinType::LeftJoin,
            "comments",
            "c",
            Expr::col(("c", "post_id")).equals(("p", "id")),
        )
        .and_where(Expr::col(("u", "active")).eq(true))
        .and_where(Expr::col(("u", "id")).is_in(ids.iter().copied()))
        .order_by(("u", "created_at"), Order::Desc)
        .limit(50)
        .build(PostgresQueryBuilder);
    seen(&text);
}
