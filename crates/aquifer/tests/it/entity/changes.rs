use aquifer::entity::*;
use aquifer::{ErrorKind, insert};

use super::schema::{Line, Mood, Post, Settings, User, empty, filled};
use crate::support;

#[tokio::test]
async fn an_insert_returns_the_row_with_what_the_database_filled_in() {
    let db = empty().await;
    let email = "ann@example.com".to_owned();
    let ann = insert!(User {
        full_name: "Ann",
        email
    })
    .fetch(&db)
    .await
    .unwrap();
    assert_eq!(
        (ann.id, ann.active, ann.mood, ann.nick),
        (1, true, Mood::Glad, None)
    );
    let theme = "dark".to_owned();
    let ben = insert!(User {
        full_name: "Ben",
        email: "ben@example.com",
        active: false,
        nick: None,
        settings: Settings { theme },
    });
    let ben = ben.fetch(&db).await.unwrap();
    assert_eq!((ben.active, &*ben.settings.theme), (false, "dark"));
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn an_insert_that_was_not_checked_by_the_compiler_is_checked_before_it_is_sent() {
    let db = empty().await;
    let error = User::insert()
        .set(User::FULL_NAME, "Ann")
        .fetch(&db)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(
        error
            .to_string()
            .contains("User.email has no value in an insert"),
        "{error}"
    );
}

#[tokio::test]
async fn an_entity_is_inserted_whole() {
    let db = empty().await;
    let line = Line {
        order_id: 7,
        number: 1,
        amount: "2.50".to_owned(),
    };
    assert_eq!(Insert::from(&line).fetch(&db).await.unwrap(), line);
    let mut user = insert!(User {
        full_name: "Ann",
        email: "a"
    })
    .fetch(&db)
    .await
    .unwrap();
    user.email = "b".to_owned();
    let copy = Insert::from(&user).fetch(&db).await.unwrap();
    assert_ne!(copy.id, user.id);
    assert_eq!(
        User {
            id: user.id,
            ..copy
        },
        user
    );
}

#[tokio::test]
async fn many_rows_are_inserted_by_one_text_all_or_none() {
    let db = empty().await;
    let row = |(name, email, mood): (&str, &str, Mood)| {
        insert!(User {
            full_name: name,
            email,
            mood,
            nick: None
        })
    };
    let rows = [("Ann", "a", Mood::Glad), ("Ben", "b", Mood::Sad)];
    let users = User::insert_many(rows.map(row)).fetch(&db).await.unwrap();
    assert_eq!(
        (users.len(), users[1].mood, &users[1].nick),
        (2, Mood::Sad, &None)
    );
    let one = User::insert_many(rows.into_iter().take(1).map(row))
        .build()
        .unwrap();
    assert_eq!(
        one.sql(),
        User::insert_many(rows.map(row)).build().unwrap().sql()
    );

    let error = User::insert_many([row(("Cid", "c", Mood::Sad)), row(rows[0])])
        .execute(&db)
        .await;
    assert_eq!(error.unwrap_err().constraint(), Some("users_email_key"));
    assert_eq!(User::query().count(&db).await.unwrap(), 2);
    let skipped = User::insert_many([row(("Cid", "c", Mood::Sad)), row(rows[0])])
        .on_conflict(User::EMAIL)
        .do_nothing();
    assert_eq!(skipped.fetch(&db).await.unwrap().len(), 1);

    assert_eq!(User::insert_many([]).execute(&db).await.unwrap(), 0);
    assert_eq!(User::insert_many([]).fetch(&db).await.unwrap(), []);
    let other = insert!(User {
        full_name: "Dan",
        email: "d"
    });
    let error = User::insert_many([row(rows[0]), other])
        .execute(&db)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("row 1 of User"), "{error}");
}

#[tokio::test]
async fn a_conflict_updates_or_skips() {
    let db = empty().await;
    let ann = |name: &str| {
        insert!(User {
            full_name: name,
            email: "ann@example.com",
            nick: "a"
        })
    };
    let first = ann("Ann").fetch(&db).await.unwrap();
    let updated = ann("Anna")
        .on_conflict(User::EMAIL)
        .do_update()
        .fetch(&db)
        .await
        .unwrap();
    assert_eq!((updated.id, &*updated.full_name), (first.id, "Anna"));
    let nick = ann("Anne")
        .set(User::NICK, "x")
        .on_conflict((User::EMAIL,))
        .do_update_only(User::NICK);
    let nick = nick.fetch(&db).await.unwrap();
    assert_eq!(
        (&*nick.full_name, nick.nick.as_deref()),
        ("Anna", Some("x"))
    );
    let skipped = ann("Anne")
        .on_conflict(User::EMAIL)
        .do_nothing()
        .fetch(&db)
        .await
        .unwrap();
    assert_eq!(skipped, None);
    let error = ann("Anne").execute(&db).await.unwrap_err();
    assert_eq!(error.constraint(), Some("users_email_key"));

    // A version is raised by an upsert, too.
    let post = insert!(Post {
        user_id: first.id,
        title: "x"
    })
    .fetch(&db)
    .await
    .unwrap();
    let again = Post::insert()
        .set(Post::ID, post.id)
        .set(Post::USER_ID, first.id)
        .set(Post::TITLE, "y");
    let again = again
        .on_conflict(Post::ID)
        .do_update()
        .fetch(&db)
        .await
        .unwrap();
    assert_eq!(
        (again.id, &*again.title, again.lock_version),
        (post.id, "y", 2)
    );
}

#[tokio::test]
async fn an_update_sets_values_columns_and_expressions() {
    let db = filled().await;
    let update = Post::update()
        .set(Post::VIEWS, Post::VIEWS + 1)
        .set(Post::TITLE, Post::TITLE.upper())
        .filter(Post::VIEWS.lt(30));
    let posts = update.fetch(&db).await.unwrap();
    let mut titles: Vec<_> = posts
        .iter()
        .map(|post| (&*post.title, post.views, post.lock_version))
        .collect();
    titles.sort_unstable();
    assert_eq!(titles, [("100% SURE", 21, 2), ("RUST", 11, 2)]);
    let update = User::update()
        .set(User::NICK, None)
        .set(User::ACTIVE, true)
        .all_rows();
    assert_eq!(update.execute(&db).await.unwrap(), 3);
    let copied = User::update()
        .set(User::EMAIL, User::FULL_NAME)
        .filter(User::NICK.is_null());
    assert_eq!(copied.execute(&db).await.unwrap(), 3);
    let same = Post::update().when(None, |update, title: &str| update.set(Post::TITLE, title));
    let error = same.all_rows().execute(&db).await.unwrap_err();
    assert!(error.to_string().contains("sets no column"), "{error}");
    // A condition that is none is no condition.
    let nothing = User::update()
        .set(User::ACTIVE, false)
        .filter(all(Vec::<Pred<User>>::new()));
    let error = nothing.execute(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("all_rows"), "{error}");
}

#[tokio::test]
async fn save_writes_a_row_back_unless_somebody_else_was_faster() {
    let db = filled().await;
    let query = || Post::query().filter(Post::TITLE.eq("Tea"));
    let mut mine = query().one(&db).await.unwrap();
    let mut theirs = mine.clone();
    mine.title = "Green tea".to_owned();
    mine.save(&db).await.unwrap();
    assert_eq!((mine.lock_version, &*mine.title), (2, "Green tea"));
    mine.views = 31;
    mine.save(&db).await.unwrap();
    assert_eq!(mine.lock_version, 3);

    theirs.title = "Black tea".to_owned();
    let error = theirs.save(&db).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("lock_version"), "{error}");
    assert_eq!(theirs.lock_version, 1);
    let stored = Post::find(mine.id).one(&db).await.unwrap();
    assert_eq!(stored, mine);
    let gone = Post::delete().row(&theirs).forever();
    assert_eq!(gone.execute(&db).await.unwrap(), 0);

    let mut line = Line {
        order_id: 1,
        number: 1,
        amount: "1".to_owned(),
    };
    assert_eq!(
        line.save(&db).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_delete_marks_rows_and_restore_brings_them_back() {
    let db = filled().await;
    let tea = Post::query()
        .filter(Post::TITLE.eq("Tea"))
        .one(&db)
        .await
        .unwrap();
    let marked = Post::delete().row(&tea).fetch(&db).await.unwrap();
    assert!(marked[0].deleted_at.is_some());
    assert_eq!(Post::find(tea.id).optional(&db).await.unwrap(), None);
    // It is deleted already.
    assert_eq!(
        Post::delete()
            .filter(Post::ID.eq(tea.id))
            .execute(&db)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        Post::update()
            .set(Post::VIEWS, 0)
            .filter(Post::ID.eq(tea.id))
            .execute(&db)
            .await
            .unwrap(),
        0
    );
    let restored = Post::restore()
        .filter(Post::ID.eq(tea.id))
        .fetch(&db)
        .await
        .unwrap();
    assert_eq!((restored[0].deleted_at, restored[0].views), (None, 30));
    let forever = Post::delete().filter(Post::ID.eq(tea.id)).forever();
    assert_eq!(forever.execute(&db).await.unwrap(), 1);
    assert_eq!(Post::query().with_deleted().count(&db).await.unwrap(), 2);
    // Without a column for it rows are deleted.
    insert!(Line {
        order_id: 1,
        number: 1
    })
    .execute(&db)
    .await
    .unwrap();
    assert_eq!(Line::delete().all_rows().execute(&db).await.unwrap(), 1);
    assert_eq!(Line::query().count(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_row_that_was_read_before_it_was_deleted_can_be_restored() {
    let db = filled().await;
    let tea = Post::find(1).one(&db).await.unwrap();
    let restore = async |row: &Post| Post::restore().row(row).execute(&db).await.unwrap();
    assert_eq!(restore(&tea).await, 0, "it is not deleted");
    let marked = Post::delete().row(&tea).fetch(&db).await.unwrap().remove(0);
    assert_eq!(restore(&tea).await, 1);
    assert_eq!(restore(&marked).await, 0, "it is restored");
    // Who else has changed it before it was deleted has changed another row than this.
    Post::delete()
        .filter(Post::ID.eq(1))
        .execute(&db)
        .await
        .unwrap();
    assert_eq!((restore(&tea).await, restore(&marked).await), (0, 0));
    let marked = Post::find(1).with_deleted().one(&db).await.unwrap();
    assert_eq!(restore(&marked).await, 1);
}

#[tokio::test]
async fn changes_run_in_transactions() {
    let db = filled().await;
    let transaction = db.begin().await.unwrap();
    let all = Post::delete()
        .all_rows()
        .execute(&transaction)
        .await
        .unwrap();
    assert_eq!(
        (all, Post::query().count(&transaction).await.unwrap()),
        (3, 0)
    );
    transaction.rollback().await.unwrap();
    assert_eq!(Post::query().count(&db).await.unwrap(), 3);
}
