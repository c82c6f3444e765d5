use std::sync::Arc;
use std::time::SystemTime;

use aquifer::entity::Entity;
use aquifer::query::{CursorKey, CursorPage};
use aquifer::testing::FakeRepository;
use aquifer::{Db, Error, ErrorKind, Repo, Repository, SessionFuture, insert};

use super::{empty, filled};
use crate::support;

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "users", has_many(POSTS = Post::USER_ID))]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    email: Option<String>,
    #[entity(default)]
    active: bool,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "posts", version = lock_version, soft_delete = deleted_at)]
struct Post {
    #[entity(key, auto)]
    id: i64,
    #[entity(belongs_to = User::ID)]
    user_id: i64,
    title: String,
    #[entity(default)]
    views: i32,
    lock_version: i32,
    deleted_at: Option<SystemTime>,
}

#[derive(Clone)]
struct Blog {
    users: Arc<dyn Repository<User>>,
    posts: Arc<dyn Repository<Post>>,
}

impl Blog {
    fn new(db: &Db) -> Self {
        Self {
            users: Arc::new(db.repo()),
            posts: Arc::new(db.repo()),
        }
    }
}

impl Blog {
    /// `None` where there is no such post.
    async fn post(&self, id: i64) -> Result<Option<Post>, Error> {
        self.posts.find(id).await
    }

    /// An error of kind `NotFound` where there is none.
    async fn author(&self, post: &Post) -> Result<User, Error> {
        self.users.get(post.user_id).await
    }

    /// In the order of the ids, by one statement.
    async fn several(&self, ids: Vec<i64>) -> Result<Vec<Option<Post>>, Error> {
        self.posts.find_many(ids).await
    }

    async fn popular(&self) -> Result<Vec<Post>, Error> {
        let popular = Post::query().filter(Post::VIEWS.ge(10));
        let popular = popular.order_by(Post::VIEWS.desc());
        self.posts.fetch(popular.limit(20)).await
    }

    async fn is_taken(&self, email: &str) -> Result<bool, Error> {
        let same = User::query().filter(User::EMAIL.eq(email));
        self.users.exists(same).await
    }
}

impl Blog {
    /// What a client gets, and the cursor that it sends to get more.
    async fn page(&self, key: &CursorKey, after: Option<&str>) -> Result<CursorPage<Post>, Error> {
        let newest = Post::query().order_by(Post::VIEWS.desc());
        self.posts.page(newest, key, after, 5).await
    }

    /// All rows, 500 at a time.
    async fn letters(&self) -> Result<usize, Error> {
        let mut letters = 0;
        let mut chunks = self.posts.chunks(Post::query(), 500);
        while let Some(posts) = chunks.next().await? {
            letters += posts.iter().map(|post| post.title.len()).sum::<usize>();
        }
        Ok(letters)
    }
}

impl Blog {
    async fn sign_up(&self, name: &str, email: &str) -> Result<User, Error> {
        self.users.insert(insert!(User { name, email })).await
    }

    /// Inserts, or takes the row that has this address already and renames it.
    async fn sign_up_or_rename(&self, name: &str, email: &str) -> Result<User, Error> {
        let row = insert!(User { name, email });
        self.users.upsert(row.on_conflict(User::EMAIL)).await
    }

    /// All or none, however many.
    async fn import(&self, user: &User, titles: &[&str]) -> Result<u64, Error> {
        let rows = titles.iter().map(|title| {
            insert!(Post {
                user_id: user.id,
                title: *title
            })
        });
        self.posts.insert_many(rows.collect()).await
    }
}

impl Blog {
    /// Says `false` where somebody else has changed the post since it was read.
    async fn retitle(&self, post: &mut Post, title: &str) -> Result<bool, Error> {
        post.title = title.to_owned();
        match self.posts.save(post).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Blog {
    /// Users, each with its posts: two statements, however many users there are.
    async fn overview(&self) -> Result<Vec<(User, Vec<Post>)>, Error> {
        let active = User::query().filter(User::ACTIVE.eq(true)).limit(50);
        let users = self.users.fetch(active).await?;
        let posts = User::POSTS.load(&users, &*self.posts).await?;
        Ok(users.into_iter().zip(posts).collect())
    }

    /// The other way: posts, each with the name of its author.
    async fn bylines(&self, posts: &[Post]) -> Result<Vec<String>, Error> {
        let authors = Post::USER.load_one(posts, &*self.users).await?;
        let name = |author: Option<User>| author.map(|author| author.name);
        Ok(authors.into_iter().filter_map(name).collect())
    }
}

trait PostRepository: Repository<Post> {
    /// How many views there are now; `None` where there is no such post.
    fn count_view(&self, id: i64) -> SessionFuture<'_, Option<i32>>;
}

impl PostRepository for Repo<Post> {
    fn count_view(&self, id: i64) -> SessionFuture<'_, Option<i32>> {
        let counted = Post::update()
            .set(Post::VIEWS, Post::VIEWS + 1)
            .filter(Post::ID.eq(id))
            .fetch(self.session());
        Box::pin(async move { Ok(counted.await?.pop().map(|post| post.views)) })
    }
}

/// Both posts change their author, or neither does.
async fn swap(db: &Db, blog: &Blog, one: i64, other: i64) -> Result<(), Error> {
    db.with_transaction(async |_| {
        let mut one = blog.posts.get(one).await?;
        let mut other = blog.posts.get(other).await?;
        std::mem::swap(&mut one.user_id, &mut other.user_id);
        blog.posts.save(&mut one).await?;
        blog.posts.save(&mut other).await
    })
    .await
}

#[tokio::test]
async fn an_address_is_taken_once() -> Result<(), Error> {
    let users = FakeRepository::new()
        .default(User::ACTIVE, true)
        .unique(User::EMAIL);
    let blog = Blog {
        users: Arc::new(users),
        posts: Arc::new(FakeRepository::new().default(Post::VIEWS, 0)),
    };
    let ann = blog.sign_up("Ann", "ann@example.com").await?;
    assert_eq!((ann.id, ann.active), (1, true));
    assert!(blog.is_taken("ann@example.com").await?);
    let error = blog.sign_up("Anna", "ann@example.com").await.unwrap_err();
    assert_eq!(error.constraint(), Some("users_email_key"));
    Ok(())
}

#[tokio::test]
async fn rows_are_read() -> Result<(), Error> {
    let db = filled().await;
    let blog = Blog::new(&db);
    let post = blog.post(13).await?.unwrap();
    assert_eq!(blog.author(&post).await?.name, "Ben");
    assert_eq!(blog.post(99).await?, None);
    let error = blog
        .author(&Post {
            user_id: 9,
            ..post.clone()
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let several = blog.several(vec![13, 99, 1]).await?;
    let titles = several
        .iter()
        .map(|post| post.as_ref().map(|post| &*post.title));
    let titles: Vec<_> = titles.collect();
    assert_eq!(titles, [Some("100% Ben"), None, Some("Ann 1")]);
    let popular = blog.popular().await?;
    let views: Vec<_> = popular.iter().map(|post| post.views).collect();
    assert_eq!(views, [30, 12, 11, 10]);
    assert!(!blog.is_taken("dan@example.com").await?);

    let key = CursorKey::new(&[7; 32])?;
    let first = blog.page(&key, None).await?;
    let second = blog.page(&key, first.next.as_deref()).await?;
    assert_eq!((first.rows.len(), second.rows[0].views), (5, 8));
    let letters = 9 * "Ann 1".len() + 3 * "Ann 10".len() + "100% Ben".len();
    assert_eq!(blog.letters().await?, letters);

    let overview = blog.overview().await?;
    let counts = overview
        .iter()
        .map(|(user, posts)| (&*user.name, posts.len()));
    assert_eq!(counts.collect::<Vec<_>>(), [("Ann", 12), ("Ben", 1)]);
    let bylines = blog.bylines(&popular).await?;
    assert_eq!(bylines, ["Ben", "Ann", "Ann", "Ann"]);
    support::assert_whole(&db).await;
    Ok(())
}

#[tokio::test]
async fn rows_are_written() -> Result<(), Error> {
    let db = empty().await;
    let blog = Blog::new(&db);
    let ann = blog.sign_up("Ann", "ann@example.com").await?;
    let anna = blog.sign_up_or_rename("Anna", "ann@example.com").await?;
    assert_eq!((anna.id, &*anna.name), (ann.id, "Anna"));
    let ben = blog.sign_up_or_rename("Ben", "ben@example.com").await?;
    assert_eq!(blog.import(&ann, &["a", "b"]).await?, 2);
    assert_eq!(blog.import(&ben, &["c"]).await?, 1);

    let mut mine = blog.post(1).await?.unwrap();
    let mut theirs = mine.clone();
    assert!(blog.retitle(&mut mine, "A").await?);
    assert!(!blog.retitle(&mut theirs, "x").await?);
    assert!(blog.posts.delete(1).await?);
    assert_eq!(blog.post(1).await?, None);
    assert!(blog.posts.restore(1).await?);

    let posts: Repo<Post> = db.repo();
    assert_eq!(posts.count_view(1).await?, Some(1));
    assert_eq!(posts.count_view(9).await?, None);

    swap(&db, &blog, 1, 3).await?;
    assert_eq!(blog.post(3).await?.unwrap().user_id, ann.id);
    assert!(swap(&db, &blog, 2, 9).await.is_err());
    support::assert_whole(&db).await;
    Ok(())
}
