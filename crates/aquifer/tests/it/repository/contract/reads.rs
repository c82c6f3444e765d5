use aquifer::entity::*;
use aquifer::{ErrorKind, insert};

use crate::repository::schema::{Kind, Seat, User, World, names};

pub(super) async fn a_row_is_found_by_its_key(world: &World) {
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

pub(super) async fn many_rows_are_found_in_the_order_of_the_keys(world: &World) {
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

pub(super) async fn a_key_may_have_several_columns(world: &World) {
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

pub(super) async fn queries_filter_sort_and_cut(world: &World) {
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

/// A condition, and the names of those for whom it holds.
type Case = (Pred<User>, &'static [&'static str]);

pub(super) async fn conditions_hold_as_in_sql(world: &World) {
    world.users(&["Ann", "Ben", "50%"]).await;
    let row = insert!(User {
        full_name: "Null",
        email: "n",
        active: false
    });
    world.users.insert(row).await.unwrap();
    let none: [i32; 0] = [];
    let cases: Vec<Case> = vec![
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

pub(super) async fn counts_and_existence(world: &World) {
    world.users(&["Ann", "Ben", "Cid"]).await;
    let older = || User::query().filter(User::AGE.gt(20));
    assert_eq!(world.users.count(User::query()).await.unwrap(), 3);
    assert_eq!(world.users.count(older()).await.unwrap(), 2);
    assert_eq!(world.users.count(older().limit(1)).await.unwrap(), 1);
    assert!(world.users.exists(older()).await.unwrap());
    let oldest = User::query().filter(User::AGE.gt(99));
    assert!(!world.users.exists(oldest).await.unwrap());
}

pub(super) async fn other_tasks_use_it_too(world: &World) {
    world.users(&["Ann", "Ben"]).await;
    let tasks = [1, 2].map(|key| {
        let users = std::sync::Arc::clone(&world.users);
        tokio::spawn(async move { users.get(key).await.unwrap().full_name })
    });
    for (task, name) in tasks.into_iter().zip(["Ann", "Ben"]) {
        assert_eq!(task.await.unwrap(), name);
    }
}
