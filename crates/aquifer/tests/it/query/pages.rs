//! Pages by number, by cursor, and parts of everything.

use aquifer::query::{CursorKey, Nulls};
use aquifer::{Db, Direction, ErrorKind, Row, Session};

use super::database;

#[tokio::test]
async fn pages_have_their_rows_and_the_total() {
    let db = database().await;
    let posts = db.from("posts").order_by("id", "asc");
    let page = posts.clone().paginate(2, 12).await.unwrap();
    assert_eq!(
        (page.total, page.pages, page.page, page.rows.len()),
        (30, 3, 2, 12)
    );
    assert_eq!(page.rows[0].get::<i64>("id").unwrap(), 13);
    let last = posts.clone().paginate_as::<(i64,)>(3, 12).await.unwrap();
    assert_eq!(last.rows.len(), 6);
    assert!(posts.paginate(9, 12).await.unwrap().rows.is_empty());
    let grouped = db
        .from("posts")
        .select("user_id")
        .group_by(["user_id"])
        .order_by("user_id", "asc");
    assert_eq!(grouped.paginate(1, 1).await.unwrap().total, 2);
}

fn key() -> CursorKey {
    CursorKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
}

/// All ids by pages of so many rows, and in one go.
async fn walk(db: &Db, size: u64, first: Direction, nulls: Option<Nulls>) {
    let ordered = || {
        let query = db.from("sparse");
        let query = match nulls {
            None => query.order_by("value", first),
            Some(nulls) => query.order_by_nulls("value", first, nulls),
        };
        query
            .order_by("at", Direction::Asc)
            .order_by("id", Direction::Desc)
    };
    let expected: Vec<i64> = ordered().pluck("id").await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = ordered()
            .cursor_page(&key(), after.as_deref(), size)
            .await
            .unwrap();
        assert!(page.rows.len() as u64 <= size);
        seen.extend(page.rows.iter().map(|row| row.get::<i64>("id").unwrap()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, expected, "{size} {first:?} {nulls:?}");
}

#[tokio::test]
async fn cursors_meet_each_row_once_whatever_the_directions_and_nulls() {
    let db = database().await;
    db.execute_script(
        "create table sparse (id bigint primary key, value numeric, at timestamptz not null);
         insert into sparse select number, nullif(number % 4, 0) * 0.1,
             timestamptz '2026-01-01' + (number % 3) * interval '1.000001 s'
         from generate_series(1, 25) number",
    )
    .await
    .unwrap();
    for first in [Direction::Asc, Direction::Desc] {
        for nulls in [None, Some(Nulls::First), Some(Nulls::Last)] {
            for size in [1, 4, 25, 100] {
                walk(&db, size, first, nulls).await;
            }
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_query_or_key_is_refused() {
    let db = database().await;
    let posts = || db.from("posts").order_by("id", "asc");
    let page = posts().cursor_page(&key(), None, 10).await.unwrap();
    let cursor = page.next.unwrap();
    let next = posts()
        .cursor_page_as::<(i64,)>(&key(), Some(&cursor), 10)
        .await
        .unwrap();
    assert_eq!(next.rows[0].0, 11);
    let other = CursorKey::new(&[9; 32]).unwrap();
    let foreign = posts()
        .cursor_page(&other, Some(&cursor), 10)
        .await
        .unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::Usage);
    let elsewhere = db
        .from("posts")
        .order_by("views", "asc")
        .cursor_page(&key(), Some(&cursor), 10)
        .await;
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::Usage);
    // The size of a page may change, the values of the conditions may not.
    let filtered = |least: i32| {
        db.from("posts")
            .where_("views", ">", least)
            .order_by("id", "asc")
    };
    let cursor = filtered(3)
        .cursor_page(&key(), None, 2)
        .await
        .unwrap()
        .next
        .unwrap();
    let same = filtered(3).cursor_page(&key(), Some(&cursor), 5).await;
    assert_eq!(same.unwrap().rows.len(), 5);
    let other = filtered(4).cursor_page(&key(), Some(&cursor), 2).await;
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn everything_is_handed_over_part_by_part() {
    let db = database().await;
    let mut sizes = Vec::new();
    let seen = db
        .from("posts")
        .where_("views", ">", 5)
        .chunk("id", 10, |rows: Vec<Row>| {
            sizes.push(rows.len());
            std::future::ready(Ok(()))
        })
        .await
        .unwrap();
    assert_eq!((seen, sizes), (25, vec![10, 10, 5]));
    let mut ids = Vec::new();
    let each = db.from("posts").each("id", 7, |row| {
        ids.push(row.get::<i64>("id")?);
        Ok(())
    });
    assert_eq!(each.await.unwrap(), 30);
    assert!(ids.is_sorted() && ids.len() == 30);
    let ordered = db
        .from("posts")
        .order_by("views", "asc")
        .each("id", 7, |_| Ok(()))
        .await;
    assert_eq!(ordered.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn the_order_can_be_turned_around() {
    let db = database().await;
    let ages = db
        .from("users")
        .order_by("age", "asc")
        .order_by("id", "asc");
    let forward: Vec<i64> = ages.clone().pluck("id").await.unwrap();
    let mut backward: Vec<i64> = ages.reversed().pluck("id").await.unwrap();
    backward.reverse();
    assert_eq!(forward, backward);
}
