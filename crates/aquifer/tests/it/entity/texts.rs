//! Both tiers give one text for the same query; here the texts are, so that one can read them.

use std::time::SystemTime;

use aquifer::entity::*;
use aquifer::insert;
use aquifer::query::{self, Direction, QueryBuilder, col, count_all, date_trunc, val};
use aquifer::types::Interval;

use super::schema::{Line, Post, User};

const LINE: [&str; 3] = ["order_id", "number", "amount"];

/// The texts of both tiers, which must be the same.
#[track_caller]
fn assert_same<S, R>(typed: &Query<S, R>, dynamic: QueryBuilder, text: &str) {
    let typed = typed.clone().build().unwrap();
    let dynamic = dynamic.build().unwrap();
    assert_eq!(typed.sql(), text);
    assert_eq!(typed.sql(), dynamic.sql());
    assert_eq!(typed.fingerprint(), dynamic.fingerprint());
    assert_eq!(typed.parameters(), dynamic.parameters());
    assert!(typed.tables_read().eq(dynamic.tables_read()));
}

#[test]
fn a_query_of_one_table_has_one_text_in_both_tiers() {
    let columns = || query::from("lines").select(LINE);
    assert_same(
        &Line::query(),
        columns(),
        r#"select "order_id", "number", "amount" from "lines""#,
    );
    assert_same(
        &Line::query()
            .filter(Line::ORDER_ID.eq(7))
            .filter(Line::AMOUNT.contains("5%"))
            .order_by(Line::NUMBER.desc())
            .limit(10)
            .offset(20),
        columns()
            .where_("order_id", "=", 7)
            .where_("amount", "like", "%5\\%%")
            .order_by("number", Direction::Desc)
            .limit(10)
            .offset(20),
        "select \"order_id\", \"number\", \"amount\" from \"lines\" where \"order_id\" = $1 and \
         \"amount\" like $2 order by \"number\" desc limit $3 offset $4",
    );
    assert_same(
        &Line::query()
            .filter(Line::NUMBER.is_in([1, 2, 3]))
            .select((Line::ORDER_ID, Line::NUMBER)),
        query::from("lines")
            .select(["order_id", "number"])
            .where_in("number", [1, 2, 3]),
        r#"select "order_id", "number" from "lines" where "number" = any ($1)"#,
    );
}

#[test]
fn a_query_of_several_tables_has_one_text_in_both_tiers() {
    assert_same(
        &User::query()
            .join(User::POSTS)
            .with_deleted()
            .filter(Post::VIEWS.gt(5))
            .select((User::ID, Post::TITLE)),
        query::from("app.users")
            .join("posts", "posts.user_id", "=", "users.id")
            .where_("posts.views", ">", 5)
            .select(["users.id", "posts.title"]),
        "select \"users\".\"id\", \"posts\".\"title\" from \"app\".\"users\" join \"posts\" on \
         \"posts\".\"user_id\" = \"users\".\"id\" where \"posts\".\"views\" > $1",
    );
    assert_same(
        &Line::query()
            .group_by((Line::ORDER_ID,))
            .having(count_rows::<Line>().gt(2))
            .select((Line::ORDER_ID, count_rows::<Line>())),
        query::from("lines")
            .group_by(["order_id"])
            .having(count_all(), ">", 2_i64)
            .select((col("order_id"), count_all())),
        "select \"order_id\", count(*) from \"lines\" group by \"order_id\" having count(*) > $1",
    );
}

#[test]
fn what_is_computed_has_one_text_in_both_tiers() {
    let typed = case(Line::NUMBER.eq(1), Line::AMOUNT)
        .when(Line::NUMBER.gt(5), value("x".to_owned()))
        .otherwise(literal("z"));
    let branches = [
        (col("number").eq(1), col("amount")),
        (col("number").is(">", 5), val("x")),
    ];
    assert_same(
        &Line::query().select((Line::ORDER_ID, typed)),
        query::from("lines").select((col("order_id"), query::case(branches, query::literal("z")))),
        "select \"order_id\", case when \"number\" = $1 then \"amount\" when \"number\" > $2 then \
         $3::text else 'z' end from \"lines\"",
    );
    let typed = json_object()
        .member("number", Line::NUMBER)
        .member("amount", Line::AMOUNT);
    let dynamic = query::json_object([("number", col("number")), ("amount", col("amount"))]);
    assert_same(
        &Line::query().group_by((Line::ORDER_ID,)).select((
            Line::ORDER_ID,
            typed.jsonb_agg::<Line>().ordered(Line::NUMBER.asc()),
        )),
        query::from("lines").group_by(["order_id"]).select((
            col("order_id"),
            query::jsonb_agg(dynamic).ordered("number", Direction::Asc),
        )),
        "select \"order_id\", jsonb_agg(jsonb_build_object($1::text, \"number\", $2::text, \
         \"amount\") order by \"number\") from \"lines\" group by \"order_id\"",
    );
    assert_same(
        &Line::query()
            .filter(row((Line::ORDER_ID, Line::NUMBER)).gt((7, 2)))
            .select((Line::AMOUNT,)),
        query::from("lines")
            .where_expr(
                query::row(["order_id", "number"]).is(">", query::row((val(7_i64), val(2)))),
            )
            .select("amount"),
        "select \"amount\" from \"lines\" where (\"order_id\", \"number\") > ($1, $2)",
    );
}

#[test]
fn spans_of_time_have_one_text_in_both_tiers() {
    let hour = Interval {
        microseconds: 3_600_000_000,
        ..Interval::default()
    };
    let deleted = || Post::DELETED_AT.truncated(TimeUnit::Day);
    let day = || date_trunc(TimeUnit::Day, "deleted_at");
    assert_same(
        &Post::query()
            .with_deleted()
            .filter(deleted().earlier_by(hour).lt_col(now::<SystemTime>()))
            .select((deleted().since(Post::DELETED_AT),)),
        query::from("posts")
            .where_expr(day().op("-", val(hour)).is("<", query::now()))
            .select(day().op("-", col("deleted_at"))),
        "select date_trunc('day', \"deleted_at\") - \"deleted_at\" from \"posts\" where \
         (date_trunc('day', \"deleted_at\") - $1::interval) < current_timestamp",
    );
}

#[test]
fn rows_that_are_marked_are_left_out_in_each_table() {
    let sql = User::query()
        .left_join(User::POSTS)
        .select((User::ID, Post::TITLE));
    assert_eq!(
        sql.to_sql().unwrap(),
        "select \"users\".\"id\", \"posts\".\"title\" from \"app\".\"users\" left join \"posts\" on \
         \"posts\".\"user_id\" = \"users\".\"id\" and \"posts\".\"deleted_at\" is null where \
         \"users\".\"deletedAt\" is null"
    );
    let sql = Post::query()
        .filter(Post::VIEWS.eq(1).or(Post::VIEWS.eq(2)))
        .select((Post::ID,));
    assert_eq!(
        sql.to_sql().unwrap(),
        "select \"id\" from \"posts\" where (\"views\" = $1 or \"views\" = $2) and \
         \"deleted_at\" is null"
    );
}

#[test]
fn changes_have_one_text_in_both_tiers() {
    let typed = insert!(Line {
        order_id: 7,
        number: 1
    })
    .build()
    .unwrap();
    assert_eq!(
        typed.sql(),
        "insert into \"lines\" (\"order_id\", \"number\") values ($1, $2) returning \"order_id\", \
         \"number\", \"amount\""
    );
    let typed = Line::update()
        .set(Line::AMOUNT, "5")
        .filter(Line::ORDER_ID.eq(7));
    assert_eq!(
        typed.build().unwrap().sql(),
        "update \"lines\" set \"amount\" = $1 where \"order_id\" = $2"
    );
    let typed = Line::delete().filter(Line::ORDER_ID.eq(7));
    assert_eq!(
        typed.build().unwrap().sql(),
        "delete from \"lines\" where \"order_id\" = $1"
    );
    let typed = Post::update().set(Post::VIEWS, 3).filter(Post::ID.eq(7));
    assert_eq!(
        typed.build().unwrap().sql(),
        "update \"posts\" set \"views\" = $1, \"lock_version\" = \"lock_version\" + $2 where \
         \"id\" = $3 and \"deleted_at\" is null"
    );
}

/// Columns of types that are seldom met: that it compiles is the test.
#[derive(Debug, Entity)]
#[entity(table = "rare")]
struct Rare {
    #[entity(key)]
    id: i64,
    attributes: std::collections::HashMap<String, Option<String>>,
    valid: Option<aquifer::types::Range<i64>>,
    tags: Vec<Option<String>>,
    picture: Vec<u8>,
    r#type: Box<str>,
}

#[test]
fn columns_may_have_any_type_that_values_have() {
    let query = Rare::query()
        .filter(Rare::TYPE.contains("x"))
        .filter(Rare::PICTURE.ne(&[1_u8, 2][..]))
        .filter(Rare::TAGS.eq(vec![None, Some("a".to_owned())]))
        .select((Rare::ID, Rare::ATTRIBUTES, Rare::VALID));
    assert_eq!(
        query.to_sql().unwrap(),
        "select \"id\", \"attributes\", \"valid\" from \"rare\" where \"type\" like $1 and \
         \"picture\" <> $2 and \"tags\" = $3"
    );
}
