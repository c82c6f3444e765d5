//! Many rows by one statement, and many rows some at a time.

use std::future::ready;
use std::sync::Mutex;

use aquifer::entity::*;
use aquifer::query::{self, CursorKey};
use aquifer::{ErrorKind, Session, insert, values};

use super::schema::{Line, Post, User, empty, filled};
use crate::support;

#[tokio::test]
async fn rows_are_changed_each_to_its_own_values_by_their_keys() {
    let db = filled().await;
    let update = Post::update_many(
        (Post::ID, Post::VIEWS, Post::TITLE),
        [(1, 11, "one"), (3, 13, "three"), (99, 0, "nobody")],
    );
    let mut changed = update.fetch(&db).await.unwrap();
    changed.sort_by_key(|post| post.id);
    let told: Vec<_> = changed
        .iter()
        .map(|post| (post.id, post.views, &*post.title, post.lock_version))
        .collect();
    assert_eq!(told, [(1, 11, "one", 2), (3, 13, "three", 2)]);

    // With its version a row must be as it was; what is said besides sees the row as it was.
    let update = Post::update_many(
        (Post::ID, Post::LOCK_VERSION, Post::TITLE),
        [(1, 2, "newer"), (3, 1, "older")],
    );
    let update = update
        .set(Post::VIEWS, Post::VIEWS + 1)
        .filter(Post::VIEWS.gt(0));
    assert_eq!(update.execute(&db).await.unwrap(), 1);
    let post = Post::find(1).one(&db).await.unwrap();
    assert_eq!(
        (&*post.title, post.views, post.lock_version),
        ("newer", 12, 3)
    );

    // Rows that are marked as deleted are passed over.
    Post::delete().row(&post).execute(&db).await.unwrap();
    let update = || Post::update_many((Post::ID, Post::VIEWS), [(1, 5)]);
    assert_eq!(update().execute(&db).await.unwrap(), 0);
    assert_eq!(update().with_deleted().execute(&db).await.unwrap(), 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_update_of_many_rows_that_can_not_be_is_refused_before_it_is_sent() {
    let db = empty().await;
    let none = Post::update_many((Post::ID, Post::VIEWS), Vec::<(i64, i32)>::new());
    assert_eq!(none.execute(&db).await.unwrap(), 0);
    for (update, says) in [
        (
            Line::update_many((Line::NUMBER, Line::AMOUNT), [(1, "5")]).build(),
            "the rows have no Line.order_id",
        ),
        (
            Line::update_many((Line::ORDER_ID, Line::NUMBER), [(1, 1)]).build(),
            "sets no column",
        ),
        (
            Line::update_many(
                (Line::ORDER_ID, Line::NUMBER, Line::AMOUNT),
                [(1, 1, literal("5"))],
            )
            .build(),
            "is given an expression",
        ),
        (
            Line::update_many(
                (Line::ORDER_ID, Line::NUMBER, Line::AMOUNT),
                [(1, 1, "5"); 0],
            )
            .build(),
            "was given none",
        ),
    ] {
        let error = update.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn rows_that_a_query_selects_are_inserted() {
    let db = filled().await;
    let posts = Post::query().order_by(Post::ID.asc());
    let lines = || {
        let posts = posts.clone().select((Post::USER_ID, Post::VIEWS));
        Line::insert_from((Line::ORDER_ID, Line::NUMBER), posts)
    };
    let inserted = lines().fetch(&db).await.unwrap();
    let pairs: Vec<_> = inserted.iter().map(Line::key).collect();
    assert_eq!(pairs, [(1, 10), (1, 20), (2, 30)]);
    assert_eq!(
        lines().execute(&db).await.unwrap_err().kind(),
        ErrorKind::Database
    );
    let again = lines()
        .on_conflict((Line::ORDER_ID, Line::NUMBER))
        .do_nothing();
    assert_eq!(again.execute(&db).await.unwrap(), 0);

    // Values that are never NULL fit a column that may be.
    let copies = User::query().filter(User::ID.eq(1)).select((
        User::FULL_NAME,
        value("copy@example.com".to_owned()),
        User::FULL_NAME.lower(),
    ));
    let copy = User::insert_from((User::FULL_NAME, User::EMAIL, User::NICK), copies);
    let copy = copy.fetch(&db).await.unwrap();
    assert_eq!(copy[0].nick.as_deref(), Some("ann"));

    let incomplete =
        User::insert_from((User::FULL_NAME,), User::query().select((User::FULL_NAME,)));
    let error = incomplete.execute(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("User.email"), "{error}");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn statements_about_many_rows_have_one_text_in_both_tiers() {
    let db = empty().await;
    let typed = Line::update_many(
        (Line::ORDER_ID, Line::NUMBER, Line::AMOUNT),
        [(7, 1, "5"), (7, 2, "6")],
    );
    let row = |number: i32, amount: &'static str| {
        values! { order_id: 7_i64, number: number, amount: amount }
    };
    let dynamic = db
        .from("lines")
        .update_many(["order_id", "number"], [row(1, "5"), row(2, "6")]);
    let (typed, dynamic) = (typed.build().unwrap(), dynamic.build().unwrap());
    assert_eq!(typed.sql(), dynamic.sql());
    assert_eq!(typed.parameters(), dynamic.parameters());
    assert_eq!(
        typed.sql(),
        "with \"types of columns\" as (select coalesce($1, array[\"order_id\"]), \
         coalesce($2, array[\"number\"]), coalesce($3, array[\"amount\"]) from \"lines\") \
         update \"lines\" set \"amount\" = \"new\".\"amount\" from unnest($1, $2, $3) as \"new\" \
         (\"order_id\", \"number\", \"amount\") where \"lines\".\"order_id\" = \"new\".\"order_id\" \
         and \"lines\".\"number\" = \"new\".\"number\""
    );
    let typed = Line::insert_from(
        (Line::ORDER_ID, Line::NUMBER),
        Line::query()
            .filter(Line::NUMBER.gt(5))
            .select((Line::ORDER_ID, Line::NUMBER)),
    );
    let dynamic = db.from("lines").insert_from(
        ["order_id", "number"],
        query::from("lines")
            .where_("number", ">", 5)
            .select(["order_id", "number"]),
    );
    let typed = typed.build().unwrap();
    let dynamic = dynamic
        .returning(["order_id", "number", "amount"])
        .build()
        .unwrap();
    assert_eq!(typed.sql(), dynamic.sql());
    assert_eq!(
        typed.sql(),
        "insert into \"lines\" (\"order_id\", \"number\") (select \"order_id\", \"number\" from \
         \"lines\" where \"number\" > $1) returning \"order_id\", \"number\", \"amount\""
    );
}

#[tokio::test]
async fn all_rows_come_in_parts_by_their_key() {
    let db = empty().await;
    let lines = (0..7_i32).map(|number| {
        insert!(Line {
            order_id: i64::from(number % 2),
            number
        })
    });
    Line::insert_many(lines).execute(&db).await.unwrap();
    let parts = Mutex::new(Vec::new());
    let chunk = Line::query().chunk(
        3,
        |lines| {
            parts.lock().unwrap().push(lines);
            ready(Ok(()))
        },
        &db,
    );
    assert_eq!(chunk.await.unwrap(), 7);
    let parts = parts.into_inner().unwrap();
    let sizes: Vec<_> = parts.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 1]);
    let keys: Vec<_> = parts.iter().flatten().map(Line::key).collect();
    assert_eq!(
        keys,
        [(0, 0), (0, 2), (0, 4), (0, 6), (1, 1), (1, 3), (1, 5)]
    );

    // Of what was selected, and ended by the first error.
    let numbers = Line::query().select((Line::NUMBER,));
    let failed = numbers.chunk(
        2,
        async |numbers: Vec<(i32,)>| {
            assert_eq!(numbers, [(0,), (2,)]);
            Line::insert().build().map(drop)
        },
        &db,
    );
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::Usage);
    let ordered = Line::query().order_by(Line::NUMBER.desc());
    let refused = ordered.chunk(2, |_lines| ready(Ok(())), &db);
    let error = refused.await.unwrap_err();
    assert!(
        error.to_string().contains("the query has an order"),
        "{error}"
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn pages_begin_behind_a_cursor_also_of_joined_tables() {
    let db = filled().await;
    let key = CursorKey::new(&[7; 32]).unwrap();
    let titles = || {
        User::query()
            .left_join(User::POSTS)
            .order_by(Post::VIEWS.desc())
            .order_by(User::ID.asc())
            .select((User::FULL_NAME, Post::VIEWS))
    };
    let all = titles().fetch(&db).await.unwrap();
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = titles().cursor_page(&key, after.as_deref(), 2, &db);
        let page = page.await.unwrap();
        read.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(read, all);
    assert_eq!(read.len(), 4);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_would_be_parts_of_other_rows_is_refused() {
    let db = filled().await;
    let key = CursorKey::new(&[7; 32]).unwrap();
    let work = |_rows: Vec<Post>| ready(Ok(()));
    let views = |_rows: Vec<(i32,)>| ready(Ok(()));
    let row = |_row| Ok(());
    let number = row_number().over(window().order_by(Post::VIEWS.asc()));
    let by_number = Post::query().order_by(number.asc());
    let others = query::from("lines").select(["number"]);
    let union = db.from("posts").select(["views"]).union(others);
    for (refused, says) in [
        (
            Post::query().limit(1).chunk(2, work, &db).await.map(drop),
            "a limit or an offset",
        ),
        (
            Post::query().offset(1).chunk(2, work, &db).await.map(drop),
            "a limit or an offset",
        ),
        (
            db.from("posts").limit(1).each("id", 2, row).await.map(drop),
            "a limit or an offset",
        ),
        (
            Post::query()
                .distinct()
                .select((Post::VIEWS,))
                .chunk(2, views, &db)
                .await
                .map(drop),
            "ordered by selected columns only",
        ),
        (
            by_number.cursor_page(&key, None, 1, &db).await.map(drop),
            "a window function",
        ),
        (
            union
                .order_by("views", "asc")
                .cursor_page(&key, None, 1)
                .await
                .map(drop),
            "UNION",
        ),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let different = Post::query().distinct().chunk(2, work, &db);
    assert_eq!(different.await.unwrap(), 3);
    let authors = || {
        let authors = db.from("posts").distinct().select(["user_id"]);
        authors.order_by("user_id", "asc")
    };
    let first = authors().cursor_page(&key, None, 1).await.unwrap();
    let second = authors().cursor_page(&key, first.next.as_deref(), 1);
    let second = second.await.unwrap();
    assert_eq!((second.rows.len(), second.next), (1, None));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn pages_of_groups_go_on_behind_what_is_computed_of_each() {
    let db = filled().await;
    let key = CursorKey::new(&[7; 32]).unwrap();
    let authors = || {
        User::query()
            .join(User::POSTS)
            .group_by((User::ID, User::FULL_NAME))
            .having(Post::VIEWS.max().gt(0))
            .order_by(Post::ID.count().desc())
            .order_by(User::ID.asc())
            .select((User::FULL_NAME, Post::ID.count()))
    };
    let first = authors().cursor_page(&key, None, 1, &db).await.unwrap();
    assert_eq!(first.rows, [("Ann".to_owned(), 2)]);
    let second = authors().cursor_page(&key, first.next.as_deref(), 1, &db);
    let second = second.await.unwrap();
    assert_eq!(second.rows, [("Ben".to_owned(), 1)]);
    assert_eq!(second.next, None);
    support::assert_whole(&db).await;
}

#[derive(Debug, Entity)]
#[entity(table = "new")]
struct New {
    #[entity(key)]
    id: i64,
    #[entity(default)]
    number: i32,
}

#[tokio::test]
async fn a_table_may_be_called_as_the_rows_that_are_given() {
    let db = empty().await;
    let table = "create table \"new\" (id bigint primary key, number int not null default 1)";
    db.execute(table, ()).await.unwrap();
    insert!(New { id: 1 }).execute(&db).await.unwrap();
    let update = New::update_many((New::ID, New::NUMBER), [(1, 5)]);
    let changed = update.fetch(&db).await.unwrap();
    assert_eq!((changed[0].id, changed[0].number), (1, 5));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn the_version_is_not_set_by_hand() {
    let update = Post::update().set(Post::LOCK_VERSION, 7).all_rows();
    let error = update.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error
            .to_string()
            .contains("Post.lock_version is the version"),
        "{error}"
    );
}
