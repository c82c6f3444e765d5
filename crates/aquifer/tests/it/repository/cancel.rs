//! Each operation dropped at its first poll, its second, and so on.

use aquifer::entity::*;
use aquifer::query::CursorKey;
use aquifer::{Db, Repo, Repository, insert};

use super::schema::{Post, User, empty};
use crate::support::{abort_at_every_poll, assert_whole};

fn row(email: String) -> Insert<User> {
    insert!(User {
        full_name: "x",
        email
    })
}

async fn filled() -> (Db, Repo<User>) {
    let db = empty().await;
    let users: Repo<User> = db.repo();
    let rows = (0..9).map(|number: i32| row(number.to_string()));
    users.insert_many(rows.collect()).await.unwrap();
    (db, users)
}

#[tokio::test]
async fn reads() {
    let (db, users) = filled().await;
    let users = &users;
    let key = CursorKey::new(&[7; 32]).unwrap();
    let key = &key;
    let rows = users.fetch(User::query()).await.unwrap();
    let posts: Repo<Post> = db.repo();
    let aborted = abort_at_every_poll(&db, || users.find(1)).await;
    assert!(aborted >= 1);
    abort_at_every_poll(&db, || users.find_many(vec![1, 2, 1])).await;
    abort_at_every_poll(&db, || users.fetch(User::query())).await;
    abort_at_every_poll(&db, || users.first(User::query())).await;
    abort_at_every_poll(&db, || users.count(User::query())).await;
    abort_at_every_poll(&db, || users.exists(User::query())).await;
    abort_at_every_poll(&db, || users.page(User::query(), key, None, 2)).await;
    abort_at_every_poll(&db, || async move {
        let mut chunks = users.chunks(User::query(), 4);
        while let Some(part) = chunks.next().await.unwrap() {
            assert!(part.len() <= 4);
        }
    })
    .await;
    abort_at_every_poll(&db, || User::POSTS.load(&rows, &posts)).await;
    abort_at_every_poll(&db, || User::POSTS.load_one(&rows, &posts)).await;
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_part_that_was_given_up_comes_again() {
    let (_db, users) = filled().await;
    for polls in 1..10 {
        let mut chunks = users.chunks(User::query(), 5);
        let first = crate::support::abort_at(polls, chunks.next()).await;
        let part = match first {
            Some(part) => part,
            None => chunks.next().await,
        };
        let ids: Vec<_> = part.unwrap().unwrap().iter().map(|user| user.id).collect();
        assert_eq!(ids, [1, 2, 3, 4, 5], "aborted at poll {polls}");
    }
}

#[tokio::test]
async fn writes_take_effect_whole_or_not_at_all() {
    let (db, users) = filled().await;
    let users = &users;
    let mut number = 100;
    let mut next = || {
        number += 2;
        number
    };
    let aborted = abort_at_every_poll(&db, || users.insert(row(next().to_string()))).await;
    assert!(aborted >= 1);
    abort_at_every_poll(&db, || {
        users.upsert(row(next().to_string()).on_conflict(User::EMAIL))
    })
    .await;
    let before = users.count(User::query()).await.unwrap();
    abort_at_every_poll(&db, || {
        let number = next();
        let rows = [number, number + 1].map(|number| row(number.to_string()));
        users.insert_many(rows.into())
    })
    .await;
    let after = users.count(User::query()).await.unwrap();
    assert_eq!((after - before) % 2, 0);
    abort_at_every_poll(&db, || {
        let start = next() * 1_000_000;
        let rows = (start..start + 10_001).map(|number: i64| row(number.to_string()));
        users.insert_many(rows.collect())
    })
    .await;
    let copied = users.count(User::query()).await.unwrap() - after;
    assert_eq!(copied % 10_001, 0);
    abort_at_every_poll(&db, || users.delete(1)).await;
    abort_at_every_poll(&db, || users.restore(2)).await;
    assert_whole(&db).await;
}

#[tokio::test]
async fn a_row_that_was_not_saved_is_as_it_was() {
    let (db, users) = filled().await;
    for polls in 1..20 {
        let mut user = users.get(1).await.unwrap();
        user.age = Some(polls);
        let before = user.clone();
        let polls = usize::try_from(polls).unwrap();
        let saved = crate::support::abort_at(polls, users.save(&mut user)).await;
        match saved {
            Some(saved) => {
                saved.unwrap();
                assert_eq!(user.lock_version, before.lock_version + 1);
                return assert_whole(&db).await;
            }
            None => assert_eq!(user, before),
        }
        assert_whole(&db).await;
    }
    panic!("it was never saved");
}
