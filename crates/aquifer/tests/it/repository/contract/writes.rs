use aquifer::entity::*;
use aquifer::{ErrorKind, SqlState, insert};

use crate::repository::schema::{Kind, Post, Seat, User, World, names};

pub(super) async fn what_the_database_fills_in_is_read_back(world: &World) {
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

pub(super) async fn a_row_that_somebody_else_changed_is_not_saved(world: &World) {
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

pub(super) async fn a_row_that_is_gone_is_not_saved(world: &World) {
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

pub(super) async fn a_row_that_was_deleted_is_not_brought_back_by_a_save(world: &World) {
    let user = world.users(&["Ann"]).await.remove(0);
    let mut post = world.post(&user, "a").await;
    let mut marked = post.clone();
    assert!(world.posts.delete(post.id).await.unwrap());
    post.title = "b".to_owned();
    let error = world.posts.save(&mut post).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("`restore` takes back"),
        "{error}"
    );
    assert!(!world.posts.exists(Post::query()).await.unwrap());
    // One that is known to be marked can be changed.
    marked.deleted_at = Some(std::time::UNIX_EPOCH);
    world.posts.save(&mut marked).await.unwrap();
    assert!(world.posts.restore(post.id).await.unwrap());
    world.posts.save(&mut post).await.unwrap();
    assert_eq!(world.posts.get(post.id).await.unwrap().title, "b");
}

pub(super) async fn deleted_rows_are_passed_over_and_come_back(world: &World) {
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

pub(super) async fn what_is_unique_stays_so(world: &World) {
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

pub(super) async fn an_upsert_inserts_or_changes(world: &World) {
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

pub(super) async fn many_rows_are_inserted_all_or_none(world: &World) {
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
    let (number, last) = match world.db {
        Some(_) => (10_100, 10_199),
        None => (100, 199),
    };
    let rows = (100..=last).map(row).collect();
    assert_eq!(world.users.insert_many(rows).await.unwrap(), number);
    let count = world.users.count(User::query()).await.unwrap();
    assert_eq!(count, number + 5);
    let query = User::query().filter(User::EMAIL.eq(last.to_string()));
    let user = world.users.first(query).await.unwrap().unwrap();
    assert_eq!(
        (user.age, user.active, user.kind),
        (Some(last), true, Kind::Guest)
    );
    let upsert = row(8).on_conflict(User::EMAIL).do_update();
    let error = world.users.insert_many(vec![row(9), upsert]).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("row 1 of User"), "{error}");
}

pub(super) async fn texts_that_the_server_refuses_are_refused(world: &World) {
    let mut ann = world.users(&["Ann"]).await.remove(0);
    let row = insert!(User {
        full_name: "a\0b",
        email: "b"
    });
    let error = world.users.insert(row).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("contains a NUL"), "{error}");
    ann.full_name = "\0".to_owned();
    let error = world.users.save(&mut ann).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    for condition in [
        User::FULL_NAME.eq("\0"),
        User::FULL_NAME.contains("\0"),
        User::FULL_NAME.is_in(["x", "\0"]),
    ] {
        let error = world.users.count(User::query().filter(condition)).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Encode);
    }
    for pattern in ["Ann\\", "%\\", "A\\"] {
        let query = User::query().filter(User::FULL_NAME.like(pattern));
        let found = world.users.fetch(query).await;
        // One that a text is done with before stands for itself.
        if pattern == "Ann\\" && world.db.is_some() {
            assert_eq!(found.unwrap(), []);
            continue;
        }
        let error = found.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database, "{pattern}");
        assert_eq!(error.sqlstate().unwrap().code(), "22025");
    }
    let query = User::query().filter(User::FULL_NAME.ilike("A_N\\\\"));
    assert!(!world.users.exists(query).await.unwrap());
}

pub(super) async fn what_can_not_be_is_refused(world: &World) {
    // Rows without values would be none.
    let rows = vec![User::insert(), User::insert()];
    let error = world.users.insert_many(rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let text = "row 0 of User, counted from 0, has a value for no column";
    assert!(error.to_string().contains(text), "{error}");
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
