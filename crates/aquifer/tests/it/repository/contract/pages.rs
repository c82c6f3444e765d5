use aquifer::entity::*;
use aquifer::query::CursorKey;
use aquifer::{ErrorKind, insert};

use crate::repository::schema::{User, World, names};

fn key() -> CursorKey {
    CursorKey::new(&[7; 32]).unwrap()
}

pub(super) async fn pages_go_on_behind_ties(world: &World) {
    let rows = (0..20).map(|number| {
        insert!(User {
            full_name: format!("user {number}"),
            email: number.to_string(),
            age: (number % 4 != 0).then_some(number % 4)
        })
    });
    world.users.insert_many(rows.collect()).await.unwrap();
    assert!(world.users.delete(6).await.unwrap());
    for order in [User::AGE.desc(), User::AGE.asc().nulls_first()] {
        let query = User::query().order_by(order);
        let whole = query.clone().order_by(User::ID.asc());
        let whole = world.users.fetch(whole).await.unwrap();
        let (mut read, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = world
                .users
                .page(query.clone(), &key(), cursor.as_deref(), 3);
            let page = page.await.unwrap();
            assert!(page.rows.len() == 3 || page.next.is_none());
            read.extend(page.rows);
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((names(&read), pages), (names(&whole), 7));
    }
    // Without an order it is that of the key; a page of all rows is the last one.
    let page = world.users.page(User::query(), &key(), None, 19).await;
    let page = page.unwrap();
    assert_eq!(
        (page.rows[0].id, page.rows[18].id, page.next),
        (1, 20, None)
    );
}

pub(super) async fn a_cursor_is_good_for_its_query_only(world: &World) {
    world.users(&["Ann", "Ben", "Cid"]).await;
    let query = User::query().order_by(User::AGE.asc());
    let page = world.users.page(query.clone(), &key(), None, 1).await;
    let cursor = page.unwrap().next.unwrap();
    let other = User::query().order_by(User::FULL_NAME.asc());
    let secret = CursorKey::new(&[8; 32]).unwrap();
    for (query, key, cursor) in [
        (other, &key(), &*cursor),
        (query.clone(), &secret, &*cursor),
        (query.clone(), &key(), "made up"),
    ] {
        let error = world.users.page(query, key, Some(cursor), 1).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(
            error.to_string().contains("not made by this query"),
            "{error}"
        );
    }
    let error = world.users.page(query.clone(), &key(), None, 0).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("at least one row"), "{error}");
    // With other values in its conditions it is another query.
    let of = |age| query.clone().filter(User::AGE.gt(age));
    let page = world.users.page(of(10), &key(), None, 1).await.unwrap();
    let same = world.users.page(of(10), &key(), page.next.as_deref(), 5);
    assert!(names(&same.await.unwrap().rows).ends_with(&["Cid"]));
    let other = world.users.page(of(30), &key(), page.next.as_deref(), 5);
    assert_eq!(other.await.unwrap_err().kind(), ErrorKind::Usage);
}

pub(super) async fn chunks_go_through_all_rows(world: &World) {
    world.users(&["Ann", "Ben", "Cid", "Dan", "Eve"]).await;
    let mut chunks = world.users.chunks(User::query(), 2);
    let mut sizes = Vec::new();
    while let Some(users) = chunks.next().await.unwrap() {
        sizes.push(users.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(chunks.next().await.unwrap(), None);
    let query = User::query().order_by(User::AGE.desc());
    let mut chunks = world.users.chunks(query, 2);
    let mut seen = Vec::new();
    while let Some(user) = chunks.next_row().await.unwrap() {
        // What is changed behind changes nothing before.
        assert!(world.users.delete(user.id).await.unwrap());
        seen.push(user.full_name);
    }
    assert_eq!(seen, ["Eve", "Dan", "Cid", "Ben", "Ann"]);
    assert_eq!(
        world.users.chunks(User::query(), 9).next().await.unwrap(),
        None
    );
    let error = world.users.chunks(User::query(), 0).next().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Usage);
}
