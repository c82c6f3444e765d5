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

/// Every order of three columns, of which two have ties and one has NULLs, by pages of every size.
pub(super) async fn pages_go_on_in_every_order(world: &World) {
    let rows = (0..11_u8).map(|number| {
        insert!(User {
            full_name: ["a", "B", "ä"][usize::from(number % 3)],
            email: number.to_string(),
            age: (number % 4 != 0).then_some(i32::from(number % 2)),
            active: number % 5 != 0
        })
    });
    for row in rows {
        world.users.insert(row).await.unwrap();
    }
    type Step = fn() -> Order<User>;
    let ages: [Step; 6] = [
        || User::AGE.asc(),
        || User::AGE.desc(),
        || User::AGE.asc().nulls_first(),
        || User::AGE.asc().nulls_last(),
        || User::AGE.desc().nulls_first(),
        || User::AGE.desc().nulls_last(),
    ];
    let others: [Step; 4] = [
        || User::ACTIVE.asc(),
        || User::ACTIVE.desc(),
        || User::DELETED_AT.asc(),
        || User::ID.desc(),
    ];
    for age in ages {
        for other in others {
            for age_first in [true, false] {
                let (first, second) = if age_first {
                    (age, other)
                } else {
                    (other, age)
                };
                let query = User::query().order_by(first()).order_by(second());
                let whole = query.clone().order_by(User::ID.asc());
                let whole = world.users.fetch(whole).await.unwrap();
                for size in [1, 2, 5] {
                    let (mut read, mut cursor) = (Vec::new(), None);
                    loop {
                        let cursor_key = key();
                        let page =
                            world
                                .users
                                .page(query.clone(), &cursor_key, cursor.as_deref(), size);
                        let page = page.await.unwrap();
                        read.extend(page.rows);
                        cursor = page.next;
                        if cursor.is_none() || read.len() > whole.len() {
                            break;
                        }
                    }
                    assert_eq!(read, whole, "{query:?} by {size}");
                }
            }
        }
    }
}

/// Rows that stay are read once, whatever comes and goes before and behind.
pub(super) async fn chunks_pass_over_what_others_delete_and_insert(world: &World) {
    let row = |number: i32| {
        insert!(User {
            full_name: "x",
            email: number.to_string(),
            age: number
        })
    };
    world
        .users
        .insert_many((0..20).map(|number| row(number * 10)).collect())
        .await
        .unwrap();
    let query = User::query().order_by(User::AGE.asc());
    let mut chunks = world.users.chunks(query, 3);
    let (mut seen, mut round) = (Vec::new(), 0);
    while let Some(part) = chunks.next().await.unwrap() {
        let last = part.last().unwrap().clone();
        seen.extend(part.iter().filter_map(|user| user.age));
        round += 1;
        // The row that the next part begins behind goes, one comes before it and one right behind.
        assert!(world.users.delete(last.id).await.unwrap());
        let age = last.age.unwrap();
        if round <= 3 {
            world.users.insert(row(age - 1)).await.unwrap();
            world.users.insert(row(age + 1)).await.unwrap();
        }
    }
    let mut once = seen.clone();
    once.dedup();
    assert_eq!(seen, once, "in order, and none twice");
    assert!((0..20).all(|number| seen.contains(&(number * 10))));
    let come: Vec<_> = seen.iter().filter(|age| *age % 10 != 0).collect();
    assert_eq!(come.len(), 3, "those behind: {seen:?}");
}
