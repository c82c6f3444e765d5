use std::sync::Arc;
use std::time::Duration;

use aquifer::entity::Entity;
use aquifer::testing::FakeRepository;
use aquifer::{
    ConnectionMonitor, Db, Error, ErrorKind, Listening, MetricsCollector, Repository, Retry, Row,
    Session, SessionFuture, SqlState, Status, insert,
};
use aquifer_testkit::Redis;
use serde::{Deserialize, Serialize};

use super::{empty, filled, migrate};
use crate::support;

#[derive(Debug, Entity, Serialize, Deserialize)]
#[entity(table = "users")]
struct User {
    #[entity(key, auto)]
    id: i64,
    name: String,
    email: Option<String>,
    #[entity(default)]
    active: bool,
}

// 1. One handle.

async fn active_names(db: &Db) -> Result<Vec<String>, Error> {
    db.query_column(
        "select name from users where active = $1 order by id",
        (true,),
    )
    .await
}

/// Tasks get a clone: it is the same pool.
async fn from_two_tasks(db: &Db) -> Result<(Vec<String>, Vec<String>), Error> {
    let (one, two) = (db.clone(), db.clone());
    tokio::try_join!(active_names(&one), active_names(&two))
}

// 2. Queries without SQL text.

/// Known when the program is written: the compiler checks it.
async fn newest(db: &Db) -> Result<Vec<User>, Error> {
    User::query()
        .filter(User::ACTIVE.eq(true))
        .order_by(User::ID.desc())
        .limit(10)
        .fetch(db)
        .await
}

/// Known only when it runs: conditions are data, and the order is one of those allowed.
async fn search(db: &Db, name: Option<&str>, order: &str) -> Result<Vec<Row>, Error> {
    let mut query = db.from("users");
    if let Some(name) = name {
        query = query.where_("name", "=", name);
    }
    query
        .sortable(["name", "created_at"], order, "ASC")
        .limit(10)
        .get()
        .await
}

// 3. Transactions.

async fn sign_up(db: &Db, name: &str, bio: &str) -> Result<i64, Error> {
    db.with_transaction(async |_| {
        let insert = "insert into users (name) values ($1) returning id";
        let id: i64 = db.query_value(insert, (name,)).await?;
        add_profile(db, id, bio).await?;
        Ok(id)
    })
    .await
}

/// Knows nothing of the transaction around it, and is part of it.
async fn add_profile(db: &Db, user: i64, bio: &str) -> Result<u64, Error> {
    let insert = "insert into profiles (user_id, bio) values ($1, $2)";
    db.execute(insert, (user, bio)).await
}

// 4. The cache.

async fn cached_user(db: &Db, id: i64) -> Result<Option<Arc<User>>, Error> {
    let users = db.repo::<User>();
    let load = move || async move { users.find(id).await };
    db.cache()
        .get_or_load_opt(&format!("user:{id}"), load)
        .await
}

/// First the commit, then the cache: a load that was faster is thrown away.
async fn rename(db: &Db, id: i64, name: &str) -> Result<(), Error> {
    db.execute("update users set name = $1 where id = $2", (name, id))
        .await?;
    db.cache().delete([format!("user:{id}")]).await?;
    Ok(())
}

// 5. Health.

fn watch(monitor: &ConnectionMonitor) -> Listening {
    monitor.on_health_change(|service, from, to, evidence| {
        eprintln!("health of {service} changed from {from:?} to {to:?}: {evidence}");
    })
}

/// For the probes of an orchestrator: a status code and a body.
fn readiness(monitor: &ConnectionMonitor) -> (u16, String) {
    let answer = monitor.readiness();
    (answer.status_code, answer.body)
}

// 6. Metrics.

/// What costs the server most, without anything to switch on.
fn dearest(metrics: &MetricsCollector) -> Option<String> {
    let statements = metrics.statements();
    let dearest = statements.iter().max_by_key(|one| one.total)?;
    Some(format!("{} calls: {}", dearest.calls, dearest.text))
}

// 7. Errors.

/// What a handler of HTTP answers.
fn status_code(error: &Error) -> u16 {
    match error.kind() {
        ErrorKind::NotFound => 404,
        ErrorKind::Database if error.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION) => 409,
        ErrorKind::Acquire | ErrorKind::Unavailable => 503,
        ErrorKind::Timeout => 504,
        _ => 500,
    }
}

/// Whether the same call may be made once more.
fn may_repeat(error: &Error, is_idempotent: bool) -> bool {
    match error.retry() {
        Retry::Safe => true,
        Retry::IfIdempotent => is_idempotent,
        _ => false,
    }
}

// 8. Types.

/// A wrong column, a value of another type or a missing field does not compile.
async fn add(db: &Db, name: &str) -> Result<User, Error> {
    insert!(User { name }).fetch(db).await
}

/// Rows of SQL text are read into types, too: what does not fit is an error with its column.
async fn names(db: &Db) -> Result<Vec<(i64, String)>, Error> {
    db.query_as("select id, name from users order by id", ())
        .await
}

// 9. Repositories.

trait Users: Repository<User> {
    fn by_email<'a>(&'a self, email: &str) -> SessionFuture<'a, Option<User>> {
        self.first(User::query().filter(User::EMAIL.eq(email)))
    }
}

impl<R: Repository<User> + ?Sized> Users for R {}

// 10. Injection.

/// Knows no database: in the service it is given `db.repo()`, in a test a fake.
struct Registration {
    users: Arc<dyn Repository<User>>,
}

impl Registration {
    async fn register(&self, name: &str, email: &str) -> Result<User, Error> {
        if let Some(user) = self.users.by_email(email).await? {
            return Ok(user);
        }
        self.users.insert(insert!(User { name, email })).await
    }
}

#[tokio::test]
async fn a_registration_is_tested_without_a_database() -> Result<(), Error> {
    let users = FakeRepository::<User>::new().default(User::ACTIVE, true);
    let registration = Registration {
        users: Arc::new(users.clone()),
    };
    let ann = registration.register("Ann", "ann@example.com").await?;
    let again = registration.register("Ann", "ann@example.com").await?;
    assert_eq!((ann.id, users.count(User::query()).await?), (again.id, 1));
    Ok(())
}

#[tokio::test]
async fn queries_give_what_they_say() -> Result<(), Error> {
    let db = filled().await;
    let (one, two) = from_two_tasks(&db).await?;
    assert_eq!((one, two.len()), (vec!["Ann".into(), "Ben".into()], 2));
    let newest: Vec<String> = newest(&db)
        .await?
        .into_iter()
        .map(|user| user.name)
        .collect();
    assert_eq!(newest, ["Ben", "Ann"]);
    assert_eq!(search(&db, Some("Cid"), "name").await?.len(), 1);
    assert_eq!(search(&db, None, "name").await?.len(), 3);
    let refused = search(&db, None, "name; drop table users").await;
    assert!(refused.is_err());
    assert!(add(&db, "Dan").await?.active);
    assert_eq!(names(&db).await?.len(), 4);
    let dearest = dearest(db.metrics()).unwrap();
    assert!(dearest.contains(" calls: "), "{dearest}");
    Ok(())
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing_and_errors_say_what_they_are() -> Result<(), Error> {
    let db = empty().await;
    let john = sign_up(&db, "John", "Hello").await?;
    let twice = add_profile(&db, john, "Hello again").await.unwrap_err();
    assert_eq!(status_code(&twice), 409);
    assert!(!may_repeat(&twice, true));
    let missing = db.query_one::<Row>("select 1 where false", ()).await;
    assert_eq!(status_code(&missing.unwrap_err()), 404);
    // No text of PostgreSQL holds this byte; the user was inserted before it was refused.
    assert!(sign_up(&db, "Jane", "\0").await.is_err());
    assert_eq!(active_names(&db).await?, ["John"]);
    Ok(())
}

#[tokio::test]
async fn a_cached_user_is_never_older_than_the_last_change() -> Result<(), Error> {
    let redis = Redis::start();
    let config = support::config(support::url()).redis_url(redis.url());
    let db = Db::connect_with(&config).await?;
    migrate(&db).await?;
    let id = add(&db, "Ann").await?.id;
    assert!(cached_user(&db, id + 1).await?.is_none());
    for name in ["Anna", "Anne"] {
        rename(&db, id, name).await?;
        assert_eq!(cached_user(&db, id).await?.unwrap().name, name);
    }
    let _listening = watch(&db.monitor());
    let health = db.monitor().check_health().await;
    assert!(health.iter().all(|service| service.status == Status::Up));
    assert_eq!(readiness(&db.monitor()).0, 200);
    let registration = Registration {
        users: Arc::new(db.repo::<User>()),
    };
    let email = "anne@example.com";
    let registered = registration.register("Anne", email).await?;
    assert_eq!(
        registration.register("Anne", email).await?.id,
        registered.id
    );
    db.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
