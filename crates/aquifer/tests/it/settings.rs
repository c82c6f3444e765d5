//! Settings that ride with each statement of a handle, and the rows that policies show by them.

use std::sync::Arc;

use aquifer::{Batch, Db, Error, ErrorKind, Session};
use tokio::task::JoinSet;

use crate::support;

const TENANT: &str = "select coalesce(current_setting('app.tenant', true), '')";

fn of(db: &Db, tenant: &str) -> Db {
    db.with_settings([("app.tenant", tenant)]).unwrap()
}

async fn tenant(session: &impl Session) -> String {
    session.query_value(TENANT, ()).await.unwrap()
}

#[tokio::test]
async fn they_hold_for_each_statement_of_the_handle_and_for_no_other() {
    let db = support::db_of(3).await;
    let one = of(&db, "one");
    // Unknown, then on an exclusive connection, then on a lane.
    for _ in 0..10 {
        assert_eq!(tenant(&one).await, "one");
        assert_eq!(tenant(&db).await, "");
        assert_eq!(tenant(&one.exclusive()).await, "one");
        assert_eq!(tenant(&one.shared()).await, "one");
        assert_eq!(tenant(&db.shared()).await, "");
    }
    db.execute("create table t (tenant text)", ())
        .await
        .unwrap();
    let write = "insert into t values (current_setting('app.tenant', true))";
    assert_eq!(one.execute(write, ()).await.unwrap(), 1);
    let batch = Batch::new().add(write, ()).add(write, ());
    assert_eq!(one.batch(batch).await.unwrap(), [1, 1]);
    one.with_transaction(async |tx| {
        assert_eq!(tenant(&tx).await, "one");
        // Calls on the handle, and on the one without settings, join.
        assert_eq!(tenant(&one).await, "one");
        assert_eq!(tenant(&db).await, "one");
        tx.execute(write, ()).await
    })
    .await
    .unwrap();
    let rows: Vec<String> = db.query_column("select tenant from t", ()).await.unwrap();
    assert_eq!(rows, ["one"; 4]);
    for _ in 0..10 {
        assert_eq!(tenant(&db.exclusive()).await, "");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn handles_add_settings_and_replace_those_of_the_same_name() {
    let db = support::db_of(2).await;
    let both = of(&db, "one").with_settings([("app.user", "7")]).unwrap();
    let sql = "select current_setting('app.tenant'), current_setting('app.user')";
    let pair: (String, String) = both.query_one(sql, ()).await.unwrap();
    assert_eq!(pair, ("one".to_owned(), "7".to_owned()));
    assert_eq!(tenant(&of(&both, "two")).await, "two");
    assert_eq!(tenant(&both).await, "one");
}

#[tokio::test]
async fn a_transaction_with_other_settings_can_not_be_joined() {
    let db = support::db_of(4).await;
    let (one, two) = (of(&db, "one"), of(&db, "two"));
    for outer in [&db, &two] {
        outer
            .with_transaction(async |_tx| {
                let error = one.query(TENANT, ()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Transaction, "{error}");
                assert!(error.to_string().contains("settings"), "{error}");
                assert!(one.begin().await.is_err());
                assert!(one.batch(Batch::new().add(TENANT, ())).await.is_err());
                assert_eq!(tenant(&one.detached()).await, "one");
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
    // The same settings, given anew, are the same.
    one.with_transaction(async |_tx| {
        assert_eq!(tenant(&of(&db, "one")).await, "one");
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn what_could_carry_them_too_far_is_refused() {
    let db = support::db_of(2).await;
    for name in ["search_path", "tenant", "app.'; drop table t; --", ""] {
        let error = db.with_settings([(name, "x")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    let one = of(&db, "one");
    let error = one.execute_script("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let error = one.dedicated().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let error = one.listen(["channel"]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}

#[tokio::test]
async fn their_values_are_told_to_nobody() {
    let recorder = support::Recorder::default();
    let config = support::config(support::url()).observer(Arc::new(recorder.clone()));
    let db = Db::connect_with(&config).await.unwrap();
    let one = of(&db, "canary");
    assert_eq!(tenant(&one).await, "canary");
    let error = one.query("select 1 / 0", ()).await.unwrap_err();
    let tx = one.begin().await.unwrap();
    let told = format!("{} {error} {error:?} {one:?} {tx:?}", recorder.text());
    assert!(!told.contains("canary"), "{told}");
}

/// A table whose policies show each tenant its own rows, and a role that they hold for.
async fn rows_of_tenants(connections: u32) -> (Db, String) {
    let database = support::url();
    let config = support::config(database);
    let db = Db::connect_with(&config.connections_max(connections))
        .await
        .unwrap();
    // Roles belong to the whole server, which other tests share.
    let name: String = db
        .query_value("select current_database() || '_app'", ())
        .await
        .unwrap();
    db.execute_script(aquifer::AssertSafe(format!(
        "create role \"{name}\"; create table notes (tenant int not null, note bigint); \
         grant select, insert on notes to \"{name}\"; alter table notes enable row level security; \
         create policy own on notes using (tenant = current_setting('app.tenant')::int); \
         insert into notes select tenant, 0 from generate_series(0, 7) as tenant"
    )))
    .await
    .unwrap();
    (db, name)
}

fn as_tenant(db: &Db, role: &str, tenant: i32) -> Db {
    db.with_settings([("role", role), ("app.tenant", &tenant.to_string())])
        .unwrap()
}

async fn drop_role(db: &Db, role: &str) {
    let sql = format!("drop table notes; drop role \"{role}\"");
    db.execute_script(aquifer::AssertSafe(sql)).await.unwrap();
}

const SEEN: &str = "select distinct tenant from notes";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tenants_at_once_never_see_a_row_of_another() {
    let (db, role) = rows_of_tenants(6).await;
    let mut tasks = JoinSet::new();
    for worker in 0..64_i32 {
        let own = worker % 8;
        let (plain, db) = (db.clone(), as_tenant(&db, &role, own));
        tasks.spawn(async move {
            for round in 0..30_i64 {
                let seen: Vec<i32> = db.query_column(SEEN, ()).await.unwrap();
                assert_eq!(seen, [own]);
                match round % 5 {
                    0 => {
                        let sql = "insert into notes values ($1, $2)";
                        db.execute(sql, (own, round)).await.unwrap();
                    }
                    1 => {
                        let sql = "insert into notes values ($1, $2)";
                        let error = db.execute(sql, ((own + 1) % 8, round)).await.unwrap_err();
                        assert_eq!(error.sqlstate().map(|state| state.code()), Some("42501"));
                    }
                    2 => {
                        let seen =
                            db.with_transaction(async |tx| tx.query_column::<i32>(SEEN, ()).await);
                        assert_eq!(seen.await.unwrap(), [own]);
                    }
                    3 => {
                        let all: i64 = plain
                            .query_value("select count(distinct tenant) from notes", ())
                            .await
                            .unwrap();
                        assert_eq!(all, 8, "the handle without settings sees all");
                    }
                    _ => {
                        let polls = usize::try_from(round % 4 + 1).unwrap();
                        drop(support::abort_at(polls, db.query(SEEN, ())).await);
                    }
                }
            }
        });
    }
    for outcome in tasks.join_all().await {
        let () = outcome;
    }
    support::assert_whole(&db).await;
    drop_role(&db, &role).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_at_any_poll_leaves_no_tenant_behind() {
    let (db, role) = rows_of_tenants(2).await;
    let (one, two) = (as_tenant(&db, &role, 1), as_tenant(&db, &role, 2));
    for handle in [one.clone(), one.exclusive(), one.shared()] {
        for polls in 1..20 {
            let done = support::abort_at(polls, handle.query(SEEN, ())).await;
            assert_eq!(tenant(&db).await, "");
            assert_eq!(tenant(&db.exclusive()).await, "");
            let seen: Vec<i32> = two.query_column(SEEN, ()).await.unwrap();
            assert_eq!(seen, [2]);
            if done.is_some() {
                break;
            }
        }
    }
    let aborted = support::abort_at_every_poll(&db, || async {
        let tx = one.begin().await?;
        tx.query(SEEN, ()).await?;
        tx.commit().await
    })
    .await;
    assert!(aborted > 1);
    assert_eq!(tenant(&db.exclusive()).await, "");
    drop_role(&db, &role).await;
}

#[tokio::test]
async fn what_could_commit_midway_does_not_go_on_without_them() {
    let db = support::db_of(3).await;
    db.execute_script(
        "create table seen (tenant text); \
         create procedure p() language plpgsql as $$ begin \
           insert into seen values (current_setting('app.tenant', true)); commit; \
           insert into seen values (current_setting('app.tenant', true)); end $$",
    )
    .await
    .unwrap();
    let one = of(&db, "one");
    let called = one.execute("call p()", ()).await;
    let batched = one.batch(Batch::new().add("call p()", ())).await;
    let seen: Vec<String> = db
        .query_column("select coalesce(tenant, '') from seen", ())
        .await
        .unwrap();
    assert!(seen.iter().all(|tenant| tenant == "one"), "{seen:?}");
    for error in [
        called.map(drop).unwrap_err(),
        batched.map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    support::assert_whole(&db).await;
}
