//! Where a repository works: on a `Db`, in its transaction, in one of its own, behind a trait.

use std::sync::Arc;

use aquifer::entity::Entity;
use aquifer::{Db, Repo, Repository, Session, SessionFuture, insert};

use super::schema::{Post, User, empty};
use crate::support;

trait UserRepository: Repository<User> {
    fn by_email<'a>(&'a self, email: &str) -> SessionFuture<'a, Option<User>> {
        self.first(User::query().filter(User::EMAIL.eq(email)))
    }
}

impl UserRepository for Repo<User> {}

fn row(email: &str) -> aquifer::entity::Insert<User> {
    insert!(User {
        full_name: "x",
        email
    })
}

#[test]
fn a_repository_is_sent_and_shared() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Arc<dyn Repository<User>>>();
    shared::<Arc<dyn UserRepository>>();
    shared::<Repo<User>>();
}

#[tokio::test]
async fn a_service_has_a_trait_of_its_own() {
    let db = empty().await;
    let users: Arc<dyn UserRepository> = Arc::new(db.repo());
    let ann = users.insert(row("a")).await.unwrap();
    let found = tokio::spawn(async move { users.by_email("a").await.unwrap() });
    assert_eq!(found.await.unwrap(), Some(ann));
    support::assert_whole(&db).await;
}

async fn count(db: &Db) -> i64 {
    let sql = "select count(*) from app.users";
    db.detached().query_value(sql, ()).await.unwrap()
}

#[tokio::test]
async fn calls_join_the_transaction_of_their_task() {
    let db = empty().await;
    let users: Arc<dyn Repository<User>> = Arc::new(db.repo());
    let rows = || (0..20_000).map(|number| row(&number.to_string())).collect();
    let outcome = db.with_transaction(async |_| {
        users.insert(row("a")).await?;
        assert_eq!(users.insert_many(rows()).await?, 20_000);
        assert_eq!(users.count(User::query()).await?, 20_001);
        let mut chunks = users.chunks(User::query(), 15_000);
        assert_eq!(chunks.next().await?.map(|part| part.len()), Some(15_000));
        assert_eq!(count(&db).await, 0);
        Err::<(), _>(User::insert().build().unwrap_err())
    });
    assert!(outcome.await.is_err());
    assert_eq!(count(&db).await, 0);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_transaction_has_repositories() {
    let db = empty().await;
    let tx = db.begin().await.unwrap();
    let users: Repo<User> = tx.repo();
    let ann = users.insert(row("a")).await.unwrap();
    let posts: Repo<Post> = users.other();
    let post = insert!(Post {
        user_id: ann.id,
        title: "x"
    });
    posts.insert(post).await.unwrap();
    let loaded = User::POSTS.load([&ann], &posts).await.unwrap();
    assert_eq!((loaded[0].len(), count(&db).await), (1, 0));
    drop((users, posts));
    tx.commit().await.unwrap();
    assert_eq!(count(&db).await, 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn nothing_is_shown_of_rows() {
    let db = empty().await;
    let users: Repo<User> = db.repo();
    let row = row("secret");
    let shown = format!("{users:?} {row:?} {:?}", users.chunks(User::query(), 1));
    assert!(
        !shown.contains("secret") && shown.contains("User"),
        "{shown}"
    );
}
