//! What the server computes: CASE, spans of time, documents, rows of columns.

use std::time::SystemTime;

use aquifer::entity::*;
use aquifer::types::{Date, Interval, Json};
use aquifer::{Db, Session};
use serde::{Deserialize, Serialize};

use super::schema::{Post, User, filled};
use crate::support;

#[tokio::test]
async fn a_case_is_null_only_where_one_of_its_values_is() {
    let db = filled().await;
    let much = case(Post::VIEWS.ge(20), literal("much"))
        .when(Post::ID.is_null(), literal("none"))
        .otherwise(value("little".to_owned()));
    let name = case(User::ACTIVE.eq(true), User::NICK).otherwise(User::FULL_NAME);
    let views = case(User::ACTIVE.eq(true), Post::VIEWS).or_null();
    let users = User::query()
        .left_join(User::POSTS)
        .order_by(User::ID.asc())
        .order_by(Post::ID.asc())
        .select((User::FULL_NAME, much, name, views));
    type Row = (String, String, Option<String>, Option<i32>);
    let rows: Vec<Row> = users.fetch(&db).await.unwrap();
    let row = |name: &str, much: &str, nick: Option<&str>, views| {
        let nick = nick.map(str::to_owned);
        (name.to_owned(), much.to_owned(), nick, views)
    };
    assert_eq!(
        rows,
        [
            row("Ann", "little", Some("a_n"), Some(10)),
            row("Ann", "much", Some("a_n"), Some(20)),
            row("Ben", "much", None, Some(30)),
            row("Cid", "none", Some("Cid"), None),
        ]
    );
    let read = case(Post::VIEWS.ge(20), Post::VIEWS).otherwise(value(0));
    let sums = Post::query()
        .group_by((Post::USER_ID,))
        .order_by(Post::USER_ID.asc())
        .select((Post::USER_ID, read.sum()));
    assert_eq!(
        sums.fetch(&db).await.unwrap(),
        [(1, Some(20)), (2, Some(30))]
    );
    support::assert_whole(&db).await;
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "trips")]
struct Trip {
    #[entity(key)]
    id: i64,
    begun: SystemTime,
    ended: Option<SystemTime>,
    day: Date,
    back: Option<Date>,
    span: Interval,
    rest: Option<Interval>,
}

async fn trips() -> Db {
    let db = support::db().await;
    let sql = "
        create table trips (
            id bigint primary key,
            begun timestamptz not null,
            ended timestamptz,
            day date not null,
            back date,
            span interval not null,
            rest interval
        );
        insert into trips values
            (1, '2024-01-31 12:00', '2024-02-02 06:30', '2024-02-28', '2024-03-01', '1 mon 2 days', '3 hours'),
            (2, '2024-01-31 12:00', null, '2024-02-28', null, '-1 day', null);";
    db.execute_script(sql).await.unwrap();
    db
}

#[tokio::test]
async fn spans_are_added_to_points_of_time_and_lie_between_them() {
    let db = trips().await;
    let month = Interval {
        months: 1,
        ..Interval::default()
    };
    let typed = Trip::query().order_by(Trip::ID.asc()).select((
        Trip::BEGUN.later_by(month),
        Trip::ENDED.earlier_by(month),
        Trip::BEGUN.later_by_col(Trip::SPAN),
        Trip::BEGUN.earlier_by_col(Trip::REST),
        Trip::ENDED.since(Trip::BEGUN),
        Trip::BEGUN.since(Trip::BEGUN),
    ));
    type Row = (
        SystemTime,
        Option<SystemTime>,
        SystemTime,
        Option<SystemTime>,
        Option<Interval>,
        Interval,
    );
    let rows: Vec<Row> = typed.fetch(&db).await.unwrap();
    let sql = "select begun + interval '1 month', ended - interval '1 month', begun + span,
                      begun - rest, ended - begun, begun - begun from trips order by id";
    assert_eq!(rows, db.query_as::<Row>(sql, ()).await.unwrap());
    assert_eq!(rows[0].4.unwrap().to_string(), "1 day 18:30:00");
    assert_eq!(rows[1].4, None);
}

#[tokio::test]
async fn days_are_counted_and_spans_are_summed() {
    let db = trips().await;
    let typed = Trip::query().order_by(Trip::ID.asc()).select((
        Trip::DAY.days_later(2),
        Trip::BACK.days_earlier(2),
        Trip::DAY.days_later_col(Trip::ID.cast::<i32>()),
        Trip::DAY.days_earlier_col(Trip::BACK.days_since(Trip::DAY)),
        Trip::BACK.days_since(Trip::DAY),
        Trip::DAY.days_since(Trip::DAY),
        Trip::SPAN + month(),
        Trip::SPAN.plus(Trip::REST),
    ));
    type Row = (
        Date,
        Option<Date>,
        Date,
        Option<Date>,
        Option<i32>,
        i32,
        Interval,
        Option<Interval>,
    );
    let rows: Vec<Row> = typed.fetch(&db).await.unwrap();
    let sql = "select day + 2, back - 2, day + id::int, day - (back - day), back - day, day - day,
                      span + interval '1 month', span + rest from trips order by id";
    assert_eq!(rows, db.query_as::<Row>(sql, ()).await.unwrap());
    assert_eq!(rows[0].4, Some(2), "the year has a 29th of February");
    let sums = Trip::query().select((Trip::SPAN.sum(), Trip::REST.avg(), Trip::SPAN.max()));
    type Sums = (Option<Interval>, Option<Interval>, Option<Interval>);
    let rows: Vec<Sums> = sums.fetch(&db).await.unwrap();
    let sql = "select sum(span), avg(rest), max(span) from trips";
    assert_eq!(rows, db.query_as(sql, ()).await.unwrap());
}

fn month() -> Interval {
    Interval {
        months: 1,
        ..Interval::default()
    }
}

#[tokio::test]
async fn now_has_the_type_that_it_is_compared_with_or_set_to() {
    let db = trips().await;
    let old = Trip::query().filter(Trip::BEGUN.lt_col(now::<SystemTime>().earlier_by(month())));
    assert_eq!(old.clone().count(&db).await.unwrap(), 2);
    let ages = old.select((now::<SystemTime>().since(Trip::BEGUN),));
    let ages: Vec<(Interval,)> = ages.fetch(&db).await.unwrap();
    assert!(ages.iter().all(|(age,)| age.days > 300), "{ages:?}");
    // What is never NULL fits a column that may be.
    let update = Trip::update()
        .set(Trip::BEGUN, now())
        .set(Trip::ENDED, now::<SystemTime>())
        .set(Trip::BACK, Trip::DAY)
        .filter(Trip::ID.eq(2));
    let changed = update.fetch(&db).await.unwrap();
    assert_eq!(changed[0].back, Some(changed[0].day));
    assert_eq!(changed[0].ended, Some(changed[0].begun));
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Title {
    title: String,
    views: i32,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Author {
    name: String,
    nick: Option<String>,
    titles: Vec<Title>,
}

#[tokio::test]
async fn documents_are_put_together_by_the_server_and_read_into_structs() {
    let db = filled().await;
    let title = || {
        json_object()
            .member("title", Post::TITLE)
            .member("views", Post::VIEWS)
    };
    let typed = User::query()
        .join(User::POSTS)
        .group_by((User::ID,))
        .order_by(User::ID.asc())
        .select((
            User::ID,
            title().jsonb_agg::<Title>().ordered(Post::VIEWS.desc()),
            Post::VIEWS.jsonb_agg().ordered(Post::VIEWS.asc()),
        ));
    type Row = (i64, Option<Json<Vec<Title>>>, Option<Json<Vec<i32>>>);
    let rows: Vec<Row> = typed.fetch(&db).await.unwrap();
    let one = |title: &str, views| Title {
        title: title.to_owned(),
        views,
    };
    assert_eq!(
        rows,
        [
            (
                1,
                Some(Json(vec![one("100% sure", 20), one("Rust", 10)])),
                Some(Json(vec![10, 20]))
            ),
            (2, Some(Json(vec![one("Tea", 30)])), Some(Json(vec![30]))),
        ]
    );

    // Within another document, and of rows that a left join does not find.
    let titles = title()
        .jsonb_agg::<Title>()
        .filter(Post::ID.is_not_null())
        .ordered(Post::ID.asc());
    let author = json_object()
        .member("name", User::FULL_NAME)
        .member("nick", User::NICK)
        .member("titles", titles.or(Json(Vec::new())));
    let typed = User::query()
        .left_join(User::POSTS)
        .group_by((User::ID,))
        .order_by(User::ID.desc())
        .select((author.read_as::<Author>(),));
    let rows: Vec<(Json<Author>,)> = typed.fetch(&db).await.unwrap();
    let authors: Vec<Author> = rows.into_iter().map(|(Json(author),)| author).collect();
    assert_eq!(
        authors[0],
        Author {
            name: "Cid".to_owned(),
            nick: None,
            titles: Vec::new()
        }
    );
    assert_eq!(authors[2].titles.len(), 2);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn rows_of_columns_are_compared_from_the_first_to_the_last() {
    let db = filled().await;
    let titles = async |condition: Pred<Post>| {
        let posts = Post::query().filter(condition).order_by(Post::ID.asc());
        posts.pluck(Post::TITLE, &db).await.unwrap().join(" ")
    };
    let pair = || row((Post::USER_ID, Post::VIEWS));
    for (condition, wanted) in [
        (pair().gt((1, 10)).within(), "100% sure Tea"),
        (pair().ge((1, 10)).within(), "Rust 100% sure Tea"),
        (pair().lt((1, 20)).within(), "Rust"),
        (pair().le((1, 20)).within(), "Rust 100% sure"),
        (pair().eq((2, 30)).within(), "Tea"),
        (pair().ne((2, 30)).within(), "Rust 100% sure"),
        (
            row((Post::USER_ID, Post::TITLE.lower(), Post::VIEWS))
                .ge((1, "rust", 10))
                .within(),
            "Rust Tea",
        ),
    ] {
        assert_eq!(titles(condition).await, wanted);
    }
    support::assert_whole(&db).await;
}
