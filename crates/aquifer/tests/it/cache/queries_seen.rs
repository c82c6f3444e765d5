//! What neither the text of a statement shows nor a look at the tables that it names.

use std::time::Duration;

use aquifer::query::call;
use aquifer::{Db, Session, Uncacheable, values};

use super::super::support;
use super::queries::{Place, end, name};

const HOUR: Duration = Duration::from_secs(3_600);

async fn refusal(db: &Db, table: &'static str) -> Option<Uncacheable> {
    let refused = db.from(table).cache(HOUR).get().await.err()?;
    refused.uncacheable().cloned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_of_no_row_is_over_when_one_is_inserted() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let count = || db.from("users").where_("id", "=", 77).cache(HOUR).count();
    assert_eq!(count().await.unwrap(), 0);
    let user = values! { id: 77, name: "new", active: true };
    db.from("users").insert(user).await.unwrap();
    assert_eq!(count().await.unwrap(), 1);
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_inherit_have_keys_of_their_own() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let schema = "create table more_users (like users) inherits (users)";
    db.execute_script(schema).await.unwrap();
    let rows = || db.from("users").where_("id", "=", 1).cache(HOUR).get();
    assert_eq!(rows().await.unwrap().len(), 1);
    let insert = "insert into more_users values (1, 'twin', true)";
    db.execute(insert, ()).await.unwrap();
    assert_eq!(rows().await.unwrap().len(), 2);
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_began_before_the_cache_are_told_too() {
    let place = Place::with(None).await;
    let db = Db::connect_with(&place.config()).await.unwrap();
    let other = Db::connect_with(&support::config(place.url.clone()))
        .await
        .unwrap();
    let holder = other.begin().await.unwrap();
    let lock = "select 1 from users where id = 1 for update";
    holder.execute(lock, ()).await.unwrap();
    let begun = db.begin().await.unwrap();
    let rename = "update users set name = 'new' where id = $1";
    begun.execute(rename, (2_i64,)).await.unwrap();
    let late = {
        let db = db.clone();
        tokio::spawn(async move { db.execute(rename, (1_i64,)).await })
    };
    until_waiting(&other).await;
    // Only from here on anything is kept.
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    assert_eq!(name(&db, 2).await.as_deref(), Some("user 2"));
    holder.rollback().await.unwrap();
    assert_eq!(late.await.unwrap().unwrap(), 1);
    begun.commit().await.unwrap();
    assert_eq!(name(&db, 1).await.as_deref(), Some("new"));
    assert_eq!(name(&db, 2).await.as_deref(), Some("new"));
    other.close().await.unwrap();
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_before_a_failure_that_may_be_tried_again_is_told() {
    let place = Place::with(None).await;
    let db = place.process().await;
    assert_eq!(name(&db, 1).await.as_deref(), Some("user 1"));
    let block = "do $$ begin update users set name = 'new' where id = 1; commit; \
         raise exception 'again' using errcode = '40001'; end $$";
    assert!(db.execute(block, ()).await.is_err());
    assert_eq!(name(&db, 1).await.as_deref(), Some("new"));
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_write_are_found_where_nobody_calls_them() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let schema = "
        create function noted(id bigint) returns bigint language plpgsql as
            $$ begin insert into events values (id); return id; end $$;
        create table defaulted (id bigint, noted bigint default noted(1));
        create table checked (id bigint check (noted(id) > 0));
        create function assigns() returns trigger language plpgsql as
            $$ begin new.id := noted(new.id); return new; end $$;
        create trigger assigns before insert on other for each row execute function assigns();";
    db.execute_script(schema).await.unwrap();
    let events = || db.from("events").cache(HOUR).count();
    assert_eq!(events().await.unwrap(), 0);
    for (count, insert) in [
        (1, "insert into other values (1)"),
        (2, "insert into defaulted (id) values (1)"),
        (3, "insert into checked values (1)"),
    ] {
        db.execute(insert, ()).await.unwrap();
        assert_eq!(events().await.unwrap(), count, "{insert}");
    }
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_and_policies_that_read_more_than_tables_are_refused() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let schema = "
        create view dice as select id, random() as thrown from users;
        create view recent as select id, now() as at from users;
        create view today as select id from users where current_date > '2000-01-01';
        create view above as select id from today;
        create view sessions as select pid from pg_stat_activity;
        create sequence numbers;
        create table members (user_id bigint);
        create function is_member(bigint) returns boolean stable language sql as
            'select exists (select from members where user_id = $1)';
        create table private (id bigint primary key);
        alter table private enable row level security;
        create policy own on private using (is_member(id));
        create table tenants (id bigint primary key, owner text);
        alter table tenants enable row level security;
        create policy own on tenants using (owner = current_setting('app.tenant', true));";
    db.execute_script(schema).await.unwrap();
    for view in ["dice", "recent", "today", "above", "sessions", "private"] {
        let refused = refusal(&db, view).await;
        assert!(
            matches!(refused, Some(Uncacheable::OpaqueView(_))),
            "{view}: {refused:?}"
        );
    }
    let refused = refusal(&db, "numbers").await;
    assert_eq!(refused, Some(Uncacheable::SystemTable("numbers".into())));
    // Settings are part of the key.
    for fine in ["tenants", "active_users", "users"] {
        assert_eq!(refusal(&db, fine).await, None, "{fine}");
    }
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_the_server_that_tell_of_the_moment_are_refused() {
    let place = Place::with(None).await;
    let db = place.process().await;
    for function in [
        "txid_current",
        "pg_current_xact_id",
        "pg_backend_pid",
        "inet_client_port",
        "timenow",
        "pg_postmaster_start_time",
    ] {
        let users = db.from("users").select(call(function, ())).cache(HOUR);
        let error = users.get().await.unwrap_err();
        let refused = Uncacheable::OfTheMoment(function.into());
        assert_eq!(error.uncacheable(), Some(&refused), "{function}");
    }
    let kind = db
        .from("users")
        .select(call("pg_typeof", (aquifer::query::col("id"),)));
    let kind = kind.cache(HOUR).get().await;
    assert!(kind.is_ok(), "{kind:?}");
    end(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_does_not_wait_to_tell_again_of_what_is_in_doubt() {
    let place = Place::with(None).await;
    let db = place.process().await;
    let other = Db::connect_with(&support::config(place.url.clone()))
        .await
        .unwrap();
    let holder = other.begin().await.unwrap();
    let lock = "select 1 from users where id = 1 for update";
    holder.execute(lock, ()).await.unwrap();
    let late = {
        let db = db.clone();
        let rename = "update users set name = 'new' where id = 1";
        tokio::spawn(async move { db.execute(rename, ()).await })
    };
    until_waiting(&other).await;
    late.abort();
    assert!(late.await.unwrap_err().is_cancelled());
    holder.rollback().await.unwrap();
    let (limit, half) = (Duration::from_secs(40), Duration::from_secs(20));
    assert!(db.shutdown(limit).await.elapsed < half);
    assert_eq!(db.tasks_running(), 0);
    other.close().await.unwrap();
}

async fn until_waiting(db: &Db) {
    let waiting = "select count(*) from pg_stat_activity \
         where wait_event_type = 'Lock' and datname = current_database()";
    while db.query_value::<i64>(waiting, ()).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}
