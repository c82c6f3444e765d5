//! Results of queries that are kept: whoever writes through the layer makes them misses, and nothing is
//! kept that must not be.

use std::time::Duration;

use aquifer::query::{call, col};
use aquifer::{
    Config, Db, Entity, Error, ErrorKind, QueryBuilder, Session, Uncacheable, raw, values,
};
use aquifer_testkit::{Postgres, Redis as Server};

use super::super::support::{self, PATIENCE};
use super::until_linked;

const HOUR: Duration = Duration::from_secs(3_600);

const SCHEMA: &str = "
    create table users (id bigint primary key, name text not null, active boolean not null);
    create table orders (id bigint primary key, user_id bigint not null references users on delete cascade);
    create table other (id bigint primary key);
    insert into users select n, 'user ' || n, true from generate_series(1, 5) n;
    insert into orders select n, 1 + n % 5 from generate_series(1, 10) n;
    create view active_users as select * from users where active;
    create table events (id bigint) partition by range (id);
    create table events_low partition of events for values from (0) to (100);";

#[derive(Debug, Entity)]
#[entity(table = "users")]
pub(super) struct User {
    #[entity(key)]
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) active: bool,
}

/// A database with tables, and what reaches it.
pub(super) struct Place {
    pub(super) url: String,
    pub(super) redis: Option<String>,
}

impl Place {
    pub(super) async fn with(redis: Option<&Server>) -> Self {
        let place = Self {
            url: Postgres::shared().create_database().url,
            redis: redis.map(Server::url),
        };
        let plain = Db::connect_with(&support::config(place.url.clone()))
            .await
            .unwrap();
        plain.execute_script(SCHEMA).await.unwrap();
        plain.close().await.unwrap();
        place
    }

    pub(super) fn config(&self) -> Config {
        let config = support::config(self.url.clone());
        match &self.redis {
            Some(url) => config.redis_url(url.as_str()).redis_timeout(PATIENCE),
            None => config,
        }
    }

    /// What another process would have.
    pub(super) async fn process(&self) -> Db {
        let db = Db::connect_with(&self.config()).await.unwrap();
        until_linked(db.cache()).await;
        db
    }
}

/// Changes a row behind the layer's back: who sees it has asked the database.
async fn rename_secretly(place: &Place, id: i64, name: &str) {
    let secret = Db::connect_with(&support::config(place.url.clone()))
        .await
        .unwrap();
    let sql = "update users set name = $1 where id = $2";
    assert_eq!(secret.execute(sql, (name, id)).await.unwrap(), 1);
    secret.close().await.unwrap();
}

/// Shuts down and checks that nothing is left.
pub(super) async fn end(db: &Db) {
    db.close().await.unwrap();
    assert_eq!(db.tasks_running(), 0);
    let status = db.pool_status();
    assert_eq!((status.in_use, status.waiting), (0, 0));
}

pub(super) async fn name(db: &Db, id: i64) -> Option<String> {
    let rows = db.from("users").select("name").where_("id", "=", id);
    rows.cache(HOUR).value("name").await.unwrap()
}

pub(super) async fn names(db: &Db) -> Vec<String> {
    let users = db.from("users").order_by("id", aquifer::Direction::Asc);
    users.cache(HOUR).pluck("name").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_kept_on_both_tiers_and_by_every_verb() {
    let server = Server::start();
    for redis in [None, Some(&server)] {
        let place = Place::with(redis).await;
        let db = place.process().await;
        for secret in ["user 1", "changed"] {
            let builder = || db.from("users").where_("id", "<=", 3).cache(HOUR);
            assert_eq!(builder().get().await.unwrap().len(), 3);
            let rows: Vec<(i64, String, bool)> = builder().get_as().await.unwrap();
            assert_eq!(rows[0].1, "user 1");
            let first = builder().first().await.unwrap().unwrap();
            assert_eq!(first.get::<i64>("id").unwrap(), 1);
            assert_eq!(builder().count().await.unwrap(), 3);
            assert!(builder().exists().await.unwrap());
            let largest = builder().aggregate::<i64>("max", col("id")).await.unwrap();
            assert_eq!(largest, Some(3));
            let page = builder().paginate(1, 2).await.unwrap();
            assert_eq!((page.rows.len(), page.total), (2, 3));
            let page = builder()
                .cache_as("page", HOUR)
                .paginate(2, 2)
                .await
                .unwrap();
            assert_eq!((page.rows.len(), page.total), (1, 3));
            let user = User::find(1).cache(HOUR).one(&db).await.unwrap();
            assert_eq!(
                (user.id, user.name.as_str(), user.active),
                (1, "user 1", true)
            );
            let all = User::query()
                .cache_as("users", HOUR)
                .fetch(&db)
                .await
                .unwrap();
            assert_eq!(all[0].name, "user 1");
            let sql = db
                .from("users")
                .select(raw!("upper(name) as big"))
                .where_("id", "=", 1);
            let sql = sql.cache(HOUR).cache_tables(["public.users"]);
            let big = sql.first().await.unwrap().unwrap();
            assert_eq!(big.get::<&str>("big").unwrap(), "USER 1");
            rename_secretly(&place, 1, secret).await;
        }
        assert!(db.cache().delete(["users"]).await.unwrap() <= 1);
        let all = User::query()
            .cache_as("users", HOUR)
            .fetch(&db)
            .await
            .unwrap();
        assert!(all.iter().any(|user| user.name == "changed"));
        end(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_of_one_row_leaves_the_others_kept() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let db = place.process().await;
    let rename = async |id: i64, to: &str| {
        let sql = "update users set name = $1 where id = $2";
        db.execute(sql, (to, id)).await.unwrap();
    };
    // The types of its parameters are known from here on.
    rename(1, "one").await;
    assert_eq!(name(&db, 1).await.as_deref(), Some("one"));
    assert_eq!(name(&db, 2).await.as_deref(), Some("user 2"));
    rename_secretly(&place, 1, "secret").await;
    rename_secretly(&place, 2, "secret").await;
    rename(2, "two").await;
    assert_eq!(name(&db, 1).await.as_deref(), Some("one"));
    assert_eq!(name(&db, 2).await.as_deref(), Some("two"));
    // Rows that are added are no change of those that there are; that there is none is not kept.
    assert_eq!(name(&db, 77).await, None);
    db.from("users")
        .insert(values! { id: 77, name: "new", active: true })
        .await
        .unwrap();
    assert_eq!(name(&db, 77).await.as_deref(), Some("new"));
    assert_eq!(name(&db, 1).await.as_deref(), Some("one"));
    db.execute("update other set id = id", ()).await.unwrap();
    assert_eq!(name(&db, 1).await.as_deref(), Some("one"));
    db.execute("update users set active = true", ())
        .await
        .unwrap();
    assert_eq!(name(&db, 1).await.as_deref(), Some("secret"));
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cascades_views_and_partitions_are_known() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let orders = || db.from("orders").cache(HOUR).count();
    let active = || db.from("active_users").cache(HOUR).count();
    let events = || db.from("events").cache(HOUR).count();
    assert_eq!((orders().await.unwrap(), active().await.unwrap()), (10, 5));
    assert_eq!(events().await.unwrap(), 0);
    db.execute("delete from users where id = $1", (1_i64,))
        .await
        .unwrap();
    assert_eq!((orders().await.unwrap(), active().await.unwrap()), (8, 4));
    db.execute("insert into events_low values (1)", ())
        .await
        .unwrap();
    assert_eq!(events().await.unwrap(), 1);
    db.execute("update active_users set active = false where id = 2", ())
        .await
        .unwrap();
    assert_eq!(active().await.unwrap(), 3);
    // What the schema is from here on is known at once.
    let trigger = "
        create function more() returns trigger language plpgsql as
            $$ begin insert into events values (new.id); return new; end $$;
        create trigger more after insert on other for each row execute function more();";
    db.execute_script(trigger).await.unwrap();
    assert_eq!(events().await.unwrap(), 1);
    db.execute("insert into other values (2)", ())
        .await
        .unwrap();
    assert_eq!(events().await.unwrap(), 2);
    let function =
        "create function add() returns void language sql as 'insert into events values (3)'";
    db.execute_script(function).await.unwrap();
    assert_eq!(events().await.unwrap(), 2);
    db.execute("select add()", ()).await.unwrap();
    assert_eq!(events().await.unwrap(), 3);
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_transaction_sees_and_what_it_took_back_is_never_kept() {
    let place = Place::with(None).await;
    let db = place.process().await;
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    let tx = db.begin().await.unwrap();
    tx.execute("update users set name = 'never' where id = 1", ())
        .await
        .unwrap();
    let inside: Option<String> = tx
        .from("users")
        .where_("id", "=", 1)
        .cache(HOUR)
        .value("name")
        .await
        .unwrap();
    assert_eq!(inside.as_deref(), Some("never"));
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    tx.rollback().await.unwrap();
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    // Also where it is joined by calls on the `Db` itself.
    let result: Result<(), Error> = db
        .with_transaction(async |tx| {
            tx.execute("update users set name = 'never' where id = 1", ())
                .await?;
            assert_eq!(name(&db, 1).await.as_deref(), Some("never"));
            let inner = tx.begin().await?;
            inner.execute("delete from users where id = 1", ()).await?;
            inner.rollback().await?;
            Err(tx.query_one::<(i64,)>("select 1/0", ()).await.unwrap_err())
        })
        .await;
    assert!(result.is_err());
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_and_roles_never_see_each_others_rows() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let db = place.process().await;
    let schema = "
        alter table users enable row level security;
        alter table users force row level security;
        create policy own on users using (id::text = current_setting('app.tenant', true));
        create role tenants_of_test;
        grant select on users to tenants_of_test;";
    let schema = schema.replace(
        "tenants_of_test",
        &format!("tenants_{}", std::process::id()),
    );
    db.execute_script(aquifer::AssertSafe(schema))
        .await
        .unwrap();
    let role = format!("tenants_{}", std::process::id());
    let tenant = |id: i64| {
        db.with_settings([
            ("app.tenant".to_owned(), id.to_string()),
            ("role".to_owned(), role.clone()),
        ])
        .unwrap()
    };
    for keyed in [false, true] {
        for _again in 0..2 {
            for id in [1_i64, 2, 3] {
                let tenant = tenant(id);
                let query: QueryBuilder<_> = tenant.from("users");
                let query = match keyed {
                    true => query.cache_as("mine", HOUR),
                    false => query.cache(HOUR),
                };
                let ids: Vec<i64> = query.pluck("id").await.unwrap();
                assert_eq!(ids, [id]);
            }
        }
    }
    // Without settings the key is another one, too.
    let all: Vec<i64> = db
        .from("users")
        .cache_as("mine", HOUR)
        .pluck("id")
        .await
        .unwrap();
    assert_eq!(all.len(), 5);
    db.execute_script(aquifer::AssertSafe(format!(
        "drop owned by {role}; drop role {role}"
    )))
    .await
    .unwrap();
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_kept_is_refused_with_the_reason() {
    let place = Place::with(None).await;
    let db = place.process().await;
    db.execute_script(
        "create function reads() returns bigint stable language sql as 'select count(*) from users'",
    )
    .await
    .unwrap();
    let users = || db.from("users").cache(HOUR);
    let refused = async |query: QueryBuilder<_>| {
        let error: Error = query.get().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        error.uncacheable().cloned().expect("a reason")
    };
    let named = |name: &str| -> Box<str> { name.into() };
    assert_eq!(refused(users().for_update()).await, Uncacheable::Locks);
    let random = users().select(call("random", ()));
    assert_eq!(
        refused(random).await,
        Uncacheable::VolatileFunction(named("random"))
    );
    let own = users().select(call("reads", ()));
    assert_eq!(refused(own).await, Uncacheable::OwnFunction(named("reads")));
    let now = users().select(aquifer::query::now());
    assert_eq!(
        refused(now).await,
        Uncacheable::OfTheMoment(named("current_timestamp"))
    );
    let text = users().where_raw(raw!("exists (select from orders)"));
    assert_eq!(refused(text).await, Uncacheable::UnknownTables);
    let system = db.from("pg_stat_activity").cache(HOUR);
    assert_eq!(
        refused(system).await,
        Uncacheable::SystemTable(named("pg_stat_activity"))
    );
    // Who says what is read may keep it.
    let now = users()
        .select(aquifer::query::now())
        .cache_tables(["users"]);
    assert_eq!(now.get().await.unwrap().len(), 5);
    let text = users()
        .where_raw(raw!("exists (select from orders)"))
        .cache_tables(["orders"]);
    assert_eq!(text.count().await.unwrap(), 5);
    db.execute("delete from orders", ()).await.unwrap();
    let text = users()
        .where_raw(raw!("exists (select from orders)"))
        .cache_tables(["orders"]);
    assert_eq!(text.count().await.unwrap(), 0);
    let error = db
        .from("users")
        .cache_tables(["users"])
        .get()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("call `cache`"), "{error}");
    let error = users().cache_as("q:x", HOUR).get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    end(&db).await;
}
