//! Rows of other entities that belong to some.

use aquifer::entity::*;
use aquifer::testing::Recorder;
use aquifer::{Db, ErrorKind, Repo, Repository, Session, insert};

use super::schema::{Comment, Post, TABLES, User, World};
use crate::support;

/// Ann has two posts and a deleted one, Ben has one, Cid has none.
async fn filled(world: &World) -> Vec<User> {
    let users = world.users(&["Ann", "Ben", "Cid"]).await;
    for (user, title) in [(0, "Rust"), (1, "Tea"), (0, "Gone"), (0, "Wells")] {
        world.post(&users[user], title).await;
    }
    assert!(world.posts.delete(3).await.unwrap());
    users
}

fn titles(posts: &[Post]) -> Vec<&str> {
    posts.iter().map(|post| &*post.title).collect()
}

async fn rows_are_grouped_by_the_one_they_belong_to(world: &World) {
    let users = filled(world).await;
    let posts = User::POSTS.load(&users, &*world.posts).await.unwrap();
    let grouped: Vec<_> = posts.iter().map(|posts| titles(posts)).collect();
    assert_eq!(grouped, [vec!["Rust", "Wells"], vec!["Tea"], vec![]]);
    // A row that is given twice has its rows twice; no row asks for nothing.
    let twice = User::POSTS.load([&users[1], &users[1]], &*world.posts);
    assert_eq!(twice.await.unwrap(), [&posts[1][..], &posts[1][..]]);
    assert!(
        User::POSTS
            .load(&[], &*world.posts)
            .await
            .unwrap()
            .is_empty()
    );
    let newest = Post::query()
        .filter(Post::TITLE.ne("Tea"))
        .order_by(Post::TITLE.desc())
        .with_deleted();
    let newest = User::POSTS.load_of(&users, newest, &*world.posts);
    let newest = newest.await.unwrap();
    assert_eq!(
        (titles(&newest[0]), titles(&newest[1])),
        (vec!["Wells", "Rust", "Gone"], vec![])
    );

    for (post, words) in [(&posts[0][1], "first"), (&posts[1][0], "second")] {
        let row = insert!(Comment {
            post_id: post.id,
            words
        });
        world.comments.insert(row).await.unwrap();
    }
    let comments = Post::COMMENTS.load(posts.iter().flatten(), &*world.comments);
    let comments = comments.await.unwrap();
    let words: Vec<_> = comments
        .iter()
        .map(|of| of.first().map(|comment| &*comment.words))
        .collect();
    assert_eq!(words, [None, Some("first"), Some("second")]);
}

async fn one_row_is_what_a_row_belongs_to(world: &World) {
    let users = filled(world).await;
    let mut posts = world.posts.fetch(Post::query().order_by(Post::ID.asc()));
    let mut posts = posts.as_mut().await.unwrap();
    let authors = Post::USER.load_one(&posts, &*world.users).await.unwrap();
    assert_eq!(
        authors,
        [
            Some(users[0].clone()),
            Some(users[1].clone()),
            Some(users[0].clone())
        ]
    );
    // NULL belongs to nobody, and asks for nothing.
    let editors = Post::EDITOR.load_one(&posts, &*world.users).await.unwrap();
    assert_eq!(editors, [None, None, None]);
    posts[0].editor_id = Some(2);
    let editors = Post::EDITOR.load_one(&posts, &*world.users).await.unwrap();
    assert_eq!(editors, [Some(users[1].clone()), None, None]);
    let error = User::POSTS
        .load_one(&users, &*world.posts)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRows);
    let one = User::POSTS
        .load_one(&users[1..], &*world.posts)
        .await
        .unwrap();
    assert_eq!(one[0].as_ref().map(|post| &*post.title), Some("Tea"));
    assert_eq!(one[1], None);
}

#[tokio::test]
async fn rows_of_a_database_are_grouped() {
    let world = World::real().await;
    rows_are_grouped_by_the_one_they_belong_to(&world).await;
    world.assert_whole().await;
}

#[tokio::test]
async fn rows_in_memory_are_grouped() {
    rows_are_grouped_by_the_one_they_belong_to(&World::fake().await).await;
}

#[tokio::test]
async fn one_row_of_a_database() {
    one_row_is_what_a_row_belongs_to(&World::real().await).await;
}

#[tokio::test]
async fn one_row_in_memory() {
    one_row_is_what_a_row_belongs_to(&World::fake().await).await;
}

#[tokio::test]
async fn rows_come_with_those_that_belong_to_them_in_one_statement() {
    let recorder = Recorder::new();
    let config = support::config(support::url()).observer(recorder.observer());
    let db = Db::connect_with(&config).await.unwrap();
    db.execute_script(TABLES).await.unwrap();
    let world = World {
        users: std::sync::Arc::new(db.repo()),
        posts: std::sync::Arc::new(db.repo()),
        comments: std::sync::Arc::new(db.repo()),
        seats: std::sync::Arc::new(db.repo()),
        db: Some(db.clone()),
    };
    let users = filled(&world).await;
    recorder.clear();
    let query = User::query()
        .filter(User::AGE.lt(100))
        .order_by(User::ID.asc())
        .limit(10)
        .with_many(User::POSTS);
    let rows = query.fetch(&db).await.unwrap();
    recorder.assert_queries(1);
    let found: Vec<_> = rows
        .iter()
        .map(|user| (&user.row, titles(&user.related)))
        .collect();
    let wanted = [vec!["Rust", "Wells"], vec!["Tea"], vec![]];
    assert_eq!(found, users.iter().zip(wanted).collect::<Vec<_>>());
    assert_eq!(rows[1].related[0].user_id, users[1].id);

    recorder.clear();
    let posts: Repo<Post> = db.repo();
    User::POSTS.load(&users, &posts).await.unwrap();
    recorder.assert_queries(1);

    recorder.clear();
    assert!(User::POSTS.load(&[], &posts).await.unwrap().is_empty());
    recorder.assert_queries(0);
    assert!(posts.find_many(Vec::new()).await.unwrap().is_empty());
    assert_eq!(posts.insert_many(Vec::new()).await.unwrap(), 0);
    recorder.assert_queries(0);
    support::assert_whole(&db).await;
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "names")]
struct Name {
    #[entity(key)]
    text: String,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "notes")]
struct Note {
    #[entity(key)]
    id: i64,
    #[entity(belongs_to(NAMED = Name::TEXT))]
    name: String,
}

#[tokio::test]
async fn a_row_is_not_lost_under_another_spelling() {
    let db = support::db_of(2).await;
    let tables = "
        create extension if not exists citext schema pg_catalog;
        create table names (text citext primary key);
        create table notes (id bigint primary key, name text not null);
        insert into names values ('ann');
        insert into notes values (1, 'ann'), (2, 'ANN')";
    db.execute_script(tables).await.unwrap();
    let (names, notes): (Repo<Name>, Repo<Note>) = (db.repo(), db.repo());
    let rows = notes.fetch(Note::query()).await.unwrap();
    let error = Note::NAMED.load_one(&rows, &names).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("Name.text"), "{error}");
    // Where they are different texts, there is no row of that name.
    db.execute_script("alter table names alter text type text")
        .await
        .unwrap();
    let found = Note::NAMED.load_one(&rows, &names).await.unwrap();
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false]);
}
