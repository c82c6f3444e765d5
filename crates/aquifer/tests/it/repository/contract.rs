//! What holds for every repository, whatever is behind it.

use aquifer::entity::*;
use aquifer::query::CursorKey;
use aquifer::{ErrorKind, SqlState, insert};

use super::schema::{Kind, Seat, User, World, names};

macro_rules! contract {
    ($($name:ident)+) => {
        mod real {
            use super::World;
            $(
                #[tokio::test]
                async fn $name() {
                    let world = World::real().await;
                    super::$name(&world).await;
                    world.assert_whole().await;
                }
            )+
        }

        mod fake {
            use super::World;
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(&World::fake().await).await;
                }
            )+
        }
    };
}

contract! {
    what_the_database_fills_in_is_read_back
    a_row_is_found_by_its_key
    many_rows_are_found_in_the_order_of_the_keys
    a_key_may_have_several_columns
    queries_filter_sort_and_cut
    conditions_hold_as_in_sql
    counts_and_existence
    a_row_that_somebody_else_changed_is_not_saved
    a_row_that_is_gone_is_not_saved
    deleted_rows_are_passed_over_and_come_back
    what_is_unique_stays_so
    an_upsert_inserts_or_changes
    many_rows_are_inserted_all_or_none
    pages_go_on_behind_ties
    a_cursor_is_good_for_its_query_only
    chunks_go_through_all_rows
    other_tasks_use_it_too
    what_can_not_be_is_refused
}

async fn what_the_database_fills_in_is_read_back(world: &World) {
    let row = insert!(User {
        full_name: "Ann",
        email: "a"
    });
    let ann = world.users.insert(row).await.unwrap();
    assert_eq!(
        (ann.id, ann.active, ann.kind, ann.lock_version, ann.age),
        (1, true, Kind::Guest, 1, None)
    );
    let row = insert!(User {
        full_name: "Ben",
        email: "b",
        age: 40,
        active: false,
        kind: Kind::Member
    });
    let ben = world.users.insert(row).await.unwrap();
    assert_eq!(
        (ben.id, ben.active, ben.kind, ben.age, ben.deleted_at),
        (2, false, Kind::Member, Some(40), None)
    );
    assert_eq!(world.users.get(2).await.unwrap(), ben);
}

async fn a_row_is_found_by_its_key(world: &World) {
    let users = world.users(&["Ann", "Ben"]).await;
    assert_eq!(world.users.find(2).await.unwrap().as_ref(), users.get(1));
    assert_eq!(world.users.find(7).await.unwrap(), None);
    let error = world.users.get(7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("no row of User has that key"),
        "{error}"
    );
}

async fn many_rows_are_found_in_the_order_of_the_keys(world: &World) {
    let users = world.users(&["Ann", "Ben", "Cid"]).await;
    let found = world.users.find_many(vec![3, 9, 1, 3]).await.unwrap();
    let wanted = [Some(2), None, Some(0), Some(2)];
    assert_eq!(
        found,
        wanted.map(|at| at.map(|at: usize| users[at].clone()))
    );
    assert_eq!(world.users.find_many(Vec::new()).await.unwrap(), []);
    assert!(world.users.delete(3).await.unwrap());
    assert_eq!(world.users.find_many(vec![3]).await.unwrap(), [None]);
}

async fn a_key_may_have_several_columns(world: &World) {
    for (row, number, guest) in [("a", 1, "Ann"), ("a", 2, "Ben"), ("b", 1, "Cid")] {
        let seat = insert!(Seat { row, number, guest });
        world.seats.insert(seat).await.unwrap();
    }
    let key = |row: &str, number| (row.to_owned(), number);
    let seat = world.seats.find(key("a", 2)).await.unwrap().unwrap();
    assert_eq!(seat.guest.as_deref(), Some("Ben"));
    assert_eq!(world.seats.find(key("b", 2)).await.unwrap(), None);
    let keys = vec![key("b", 1), key("b", 2), key("a", 1), key("b", 1)];
    let found = world.seats.find_many(keys).await.unwrap();
    let guests: Vec<_> = found
        .iter()
        .map(|seat| seat.as_ref().and_then(|seat| seat.guest.as_deref()))
        .collect();
    assert_eq!(guests, [Some("Cid"), None, Some("Ann"), Some("Cid")]);
    let mut seat = seat;
    seat.guest = None;
    world.seats.save(&mut seat).await.unwrap();
    assert_eq!(world.seats.find(seat.key()).await.unwrap(), Some(seat));
    // Without a mark for it the row is gone.
    assert!(world.seats.delete(key("a", 2)).await.unwrap());
    assert!(!world.seats.delete(key("a", 2)).await.unwrap());
    assert_eq!(world.seats.count(Seat::query()).await.unwrap(), 2);
}

async fn queries_filter_sort_and_cut(world: &World) {
    world.users(&["Ann", "Ben", "Cid", "Dan"]).await;
    let query = User::query()
        .filter(User::AGE.ge(30))
        .order_by(User::AGE.desc());
    let users = world.users.fetch(query.clone()).await.unwrap();
    assert_eq!(names(&users), ["Dan", "Cid", "Ben"]);
    let users = world.users.fetch(query.clone().offset(1).limit(1)).await;
    assert_eq!(names(&users.unwrap()), ["Cid"]);
    let first = world.users.first(query).await.unwrap().unwrap();
    assert_eq!(first.full_name, "Dan");
    let none = User::query().filter(User::FULL_NAME.eq("Eve"));
    assert_eq!(world.users.first(none).await.unwrap(), None);
    // NULL stands last, and first in the opposite order.
    let row = insert!(User {
        full_name: "Eve",
        email: "e"
    });
    world.users.insert(row).await.unwrap();
    for (order, at) in [
        (User::AGE.asc(), 4),
        (User::AGE.desc(), 0),
        (User::AGE.asc().nulls_first(), 0),
        (User::AGE.desc().nulls_last(), 4),
    ] {
        let users = world.users.fetch(User::query().order_by(order)).await;
        assert_eq!(users.unwrap()[at].full_name, "Eve");
    }
}

async fn conditions_hold_as_in_sql(world: &World) {
    world.users(&["Ann", "Ben", "50%"]).await;
    let row = insert!(User {
        full_name: "Null",
        email: "n",
        active: false
    });
    world.users.insert(row).await.unwrap();
    let none: [i32; 0] = [];
    let cases: Vec<(Pred<User>, &[&str])> = vec![
        (User::FULL_NAME.eq("Ben"), &["Ben"]),
        (User::AGE.ne(30), &["Ann", "50%"]),
        (!User::AGE.ne(30), &["Ben"]),
        (User::AGE.is_null(), &["Null"]),
        (
            User::AGE.is_not_null().and(User::AGE.lt(30)).within(),
            &["Ann"],
        ),
        (
            User::AGE.lt(30).or(User::AGE.is_null()).within(),
            &["Ann", "Null"],
        ),
        (User::AGE.between(20, 30), &["Ann", "Ben"]),
        (User::AGE.is_in([40, 20]), &["Ann", "50%"]),
        (User::AGE.is_in(none), &[]),
        (User::AGE.not_in([40, 20]), &["Ben"]),
        (User::AGE.not_in(none), &["Ann", "Ben", "50%", "Null"]),
        (User::AGE.eq_or_null(None::<i32>), &["Null"]),
        (User::FULL_NAME.contains("0%"), &["50%"]),
        (User::FULL_NAME.icontains("N"), &["Ann", "Ben", "Null"]),
        (User::FULL_NAME.starts_with("N"), &["Null"]),
        (User::FULL_NAME.like("_e%"), &["Ben"]),
        (User::FULL_NAME.lower().eq("ann"), &["Ann"]),
        (User::AGE.or(0).eq(0).within(), &["Null"]),
        (User::ACTIVE.eq(false), &["Null"]),
        (User::KIND.eq(Kind::Member), &[]),
        (
            User::EMAIL.eq_col(User::EMAIL).within(),
            &["Ann", "Ben", "50%", "Null"],
        ),
        (all([User::AGE.gt(10), User::AGE.le(20)]), &["Ann"]),
        (any([User::AGE.eq(20), User::AGE.eq(30)]), &["Ann", "Ben"]),
        (all([]), &["Ann", "Ben", "50%", "Null"]),
        (any([]), &[]),
        (User::DELETED_AT.is_null(), &["Ann", "Ben", "50%", "Null"]),
    ];
    for (number, (condition, wanted)) in cases.into_iter().enumerate() {
        let query = User::query().filter(condition).order_by(User::ID.asc());
        let users = world.users.fetch(query).await.unwrap();
        assert_eq!(names(&users), wanted, "condition {number}");
    }
}

async fn counts_and_existence(world: &World) {
    world.users(&["Ann", "Ben", "Cid"]).await;
    let older = || User::query().filter(User::AGE.gt(20));
    assert_eq!(world.users.count(User::query()).await.unwrap(), 3);
    assert_eq!(world.users.count(older()).await.unwrap(), 2);
    assert_eq!(world.users.count(older().limit(1)).await.unwrap(), 1);
    assert!(world.users.exists(older()).await.unwrap());
    let oldest = User::query().filter(User::AGE.gt(99));
    assert!(!world.users.exists(oldest).await.unwrap());
}

async fn a_row_that_somebody_else_changed_is_not_saved(world: &World) {
    let mut mine = world.users(&["Ann"]).await.remove(0);
    let mut theirs = mine.clone();
    mine.full_name = "Anna".to_owned();
    world.users.save(&mut mine).await.unwrap();
    assert_eq!((mine.lock_version, &*mine.full_name), (2, "Anna"));
    theirs.age = None;
    let before = theirs.clone();
    let error = world.users.save(&mut theirs).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("lockVersion"), "{error}");
    assert_eq!(theirs, before);
    assert_eq!(world.users.find(mine.id).await.unwrap(), Some(mine));
}

async fn a_row_that_is_gone_is_not_saved(world: &World) {
    let mut seat = Seat {
        row: "z".to_owned(),
        number: 1,
        guest: None,
    };
    let error = world.seats.save(&mut seat).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("Seat"), "{error}");
    world.seats.insert(Insert::from(&seat)).await.unwrap();
    world.seats.save(&mut seat).await.unwrap();
}

async fn deleted_rows_are_passed_over_and_come_back(world: &World) {
    world.users(&["Ann", "Ben"]).await;
    assert!(world.users.delete(1).await.unwrap());
    assert!(
        !world.users.delete(1).await.unwrap(),
        "it is deleted already"
    );
    assert!(!world.users.delete(9).await.unwrap());
    assert_eq!(world.users.find(1).await.unwrap(), None);
    assert_eq!(world.users.count(User::query()).await.unwrap(), 1);
    let all = User::query().with_deleted();
    assert_eq!(world.users.count(all).await.unwrap(), 2);
    let gone = world.users.fetch(User::query().only_deleted()).await;
    let gone = gone.unwrap();
    assert_eq!(names(&gone), ["Ann"]);
    assert!(gone[0].deleted_at.is_some() && gone[0].lock_version == 2);
    assert!(world.users.restore(1).await.unwrap());
    assert!(!world.users.restore(1).await.unwrap());
    let ann = world.users.get(1).await.unwrap();
    assert_eq!((ann.deleted_at, ann.lock_version), (None, 3));
}

async fn what_is_unique_stays_so(world: &World) {
    let mut users = world.users(&["Ann", "Ben"]).await;
    let row = || {
        insert!(User {
            full_name: "Cid",
            email: "Ann@example.com"
        })
    };
    let error = world.users.insert(row()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert_eq!(error.sqlstate(), Some(&SqlState::UNIQUE_VIOLATION));
    assert_eq!(error.constraint(), Some("users_email_key"));
    assert_eq!(error.table(), Some("users"));
    let mut ben = users.remove(1);
    ben.email = "Ann@example.com".to_owned();
    let error = world.users.save(&mut ben).await.unwrap_err();
    assert_eq!(error.constraint(), Some("users_email_key"));
    // What was counted up for rows that could not be inserted is not used again.
    let row = row().set(User::EMAIL, "c");
    assert_eq!(world.users.insert(row).await.unwrap().id, 4);
    let seat = Seat {
        row: "a".to_owned(),
        number: 1,
        guest: None,
    };
    world.seats.insert(Insert::from(&seat)).await.unwrap();
    let error = world.seats.insert(Insert::from(&seat)).await.unwrap_err();
    assert_eq!(error.constraint(), Some("seats_pkey"));
}

async fn an_upsert_inserts_or_changes(world: &World) {
    let row = |name: &str| {
        let row = insert!(User {
            full_name: name,
            email: "a",
            age: 20
        });
        row.on_conflict(User::EMAIL)
    };
    let ann = world.users.upsert(row("Ann")).await.unwrap();
    assert_eq!((ann.id, ann.lock_version), (1, 1));
    let anna = world.users.upsert(row("Anna")).await.unwrap();
    assert_eq!(
        (anna.id, &*anna.full_name, anna.lock_version),
        (1, "Anna", 2)
    );
    let older = row("Anne").do_update_only(User::AGE).set(User::AGE, 30);
    let older = world.users.insert(older).await.unwrap();
    assert_eq!((&*older.full_name, older.age), ("Anna", Some(30)));
    assert_eq!(world.users.count(User::query()).await.unwrap(), 1);
}

async fn many_rows_are_inserted_all_or_none(world: &World) {
    let row = |number: i32| {
        insert!(User {
            full_name: "x",
            email: number.to_string(),
            age: number
        })
    };
    let rows = (0..5).map(row).collect();
    assert_eq!(world.users.insert_many(rows).await.unwrap(), 5);
    assert_eq!(world.users.insert_many(Vec::new()).await.unwrap(), 0);
    let error = world.users.insert_many(vec![row(7), row(3)]).await;
    assert_eq!(error.unwrap_err().constraint(), Some("users_email_key"));
    // More than one statement takes.
    let rows = (100..10_200).map(row).collect();
    assert_eq!(world.users.insert_many(rows).await.unwrap(), 10_100);
    assert_eq!(world.users.count(User::query()).await.unwrap(), 10_105);
    let last = User::query().filter(User::EMAIL.eq("10199"));
    let last = world.users.first(last).await.unwrap().unwrap();
    assert_eq!(
        (last.age, last.active, last.kind),
        (Some(10_199), true, Kind::Guest)
    );
    let upsert = row(8).on_conflict(User::EMAIL).do_update();
    let error = world.users.insert_many(vec![row(9), upsert]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("row 1 of User"), "{error}");
}

fn key() -> CursorKey {
    CursorKey::new(&[7; 32]).unwrap()
}

async fn pages_go_on_behind_ties(world: &World) {
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

async fn a_cursor_is_good_for_its_query_only(world: &World) {
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
    // Other values of its conditions make no other query.
    let of = |age| query.clone().filter(User::AGE.gt(age));
    let page = world.users.page(of(10), &key(), None, 1).await.unwrap();
    let next = world.users.page(of(30), &key(), page.next.as_deref(), 5);
    assert_eq!(names(&next.await.unwrap().rows), ["Cid"]);
}

async fn chunks_go_through_all_rows(world: &World) {
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

async fn other_tasks_use_it_too(world: &World) {
    world.users(&["Ann", "Ben"]).await;
    let tasks = [1, 2].map(|key| {
        let users = std::sync::Arc::clone(&world.users);
        tokio::spawn(async move { users.get(key).await.unwrap().full_name })
    });
    for (task, name) in tasks.into_iter().zip(["Ann", "Ben"]) {
        assert_eq!(task.await.unwrap(), name);
    }
}

async fn what_can_not_be_is_refused(world: &World) {
    let row = User::insert().set(User::FULL_NAME, "Ann");
    let error = world.users.insert(row).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error.to_string().contains("User.email has no value"),
        "{error}"
    );
    let row = |email: &str| {
        insert!(User {
            full_name: "x",
            email
        })
    };
    let rows = vec![row("a"), row("b").set(User::AGE, 1)];
    let error = world.users.insert_many(rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("row 1 of User"), "{error}");
    assert_eq!(world.users.count(User::query()).await.unwrap(), 0);
}
