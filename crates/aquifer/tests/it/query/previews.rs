//! What the server would do: explained, run and taken back, judged.

use aquifer::query::{self, Lint, count_all, val};
use aquifer::{ErrorKind, QueryBuilder, Session, raw, values};

use super::database;
use crate::support;

/// The names of all users, in order.
async fn names(session: &impl Session) -> String {
    let sql = "select string_agg(name, ' ' order by id) from users";
    session.query_value(sql, ()).await.unwrap()
}

#[tokio::test]
async fn a_write_is_explained_and_nothing_is_changed() {
    let db = database().await;
    let rename = || {
        db.from("users")
            .where_("id", "=", 1)
            .update(values! { name: "Zoe" })
    };
    let explained = rename().explain().await.unwrap();
    assert_eq!(explained.root().kind(), "ModifyTable");
    let [scan] = explained.root().children().collect::<Vec<_>>()[..] else {
        panic!("{explained:?}");
    };
    assert_eq!(
        (scan.table(), scan.index()),
        (Some("users"), Some("users_pkey"))
    );
    let added = db.from("users").insert(values! { name: "Dan" });
    assert_eq!(
        added.clone().explain().await.unwrap().root().table(),
        Some("users")
    );
    let gone = db.from("posts").where_("user_id", "=", 1).delete();
    let plan = gone.dry_run().await.unwrap();
    assert_eq!((plan.parameters(), plan.is_read()), (1, false));
    let wrong = db.from("users").insert(values! { nmae: "Dan" });
    let error = wrong.dry_run().await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "42703");
    assert_eq!(names(&db).await, "Ann Bob Cid");
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_write_that_is_analyzed_is_run_and_taken_back() {
    // Of several connections another one would not show what is left open.
    for connections in [1, 4] {
        let db = support::db_of(connections).await;
        db.execute_script(
            "create table users (id int, name text); insert into users values (1, 'Ann'), (2, 'Bob')",
        )
        .await
        .unwrap();
        let analyzed = db
            .from("users")
            .all_rows()
            .update(values! { name: "Zoe" })
            .explain_analyze()
            .await
            .unwrap();
        assert!(analyzed.execution_ms().is_some());
        let scanned = |explained: &query::Explained| -> f64 {
            let steps = explained.steps();
            steps.iter().filter_map(|step| step.rows_actual()).sum()
        };
        assert!((scanned(&analyzed) - 2.0).abs() < 0.5);
        assert_eq!(names(&db).await, "Ann Bob");

        // In a transaction, what was done before stays.
        let tx = db.begin().await.unwrap();
        tx.execute("insert into users values (3, 'Cid')", ())
            .await
            .unwrap();
        let analyzed = tx.from("users").all_rows().delete().explain_analyze().await;
        assert!((scanned(&analyzed.unwrap()) - 3.0).abs() < 0.5);
        let insert = tx.from("users").insert(values! { id: 4, name: "Dan" });
        insert.explain_analyze().await.unwrap();
        assert_eq!(names(&tx).await, "Ann Bob Cid");
        tx.commit().await.unwrap();

        let session = db.dedicated().await.unwrap();
        let gone = session.from("users").all_rows().delete();
        gone.explain_analyze().await.unwrap();
        assert_eq!(names(&session).await, "Ann Bob Cid");
        drop(session);
        support::assert_whole(&db).await;
    }
}

#[tokio::test]
async fn a_handle_for_reads_analyzes_reads_only() {
    let db = database().await;
    let reads = db.read();
    let analyzed = reads.from("users").explain_analyze().await.unwrap();
    assert!(analyzed.execution_ms().is_some());
    let hidden = reads
        .from("users")
        .select(raw!("setval('users_id_seq', 99)"))
        .explain_analyze()
        .await;
    assert_eq!(hidden.unwrap_err().sqlstate().unwrap().code(), "25006");
    let change = reads.from("users").all_rows().delete().explain_analyze();
    assert!(change.await.is_err());
    assert_eq!(names(&db).await, "Ann Bob Cid");
    support::assert_whole(&db).await;
}

/// What lints say, in short.
fn short(lints: &[Lint]) -> String {
    let shown = lints.iter().map(|lint| match lint {
        Lint::UnindexedFilter {
            table, condition, ..
        } => format!("filter {table} {condition}"),
        Lint::UnindexedSort { key, .. } => format!("sort {key}"),
        Lint::CartesianJoin { source } => format!("cartesian {source}"),
        other => other.name().to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

const FINE: &str = "";

type Case<'a> = (QueryBuilder<query::Attached<'a>>, &'static str);

async fn assert_lints(cases: impl IntoIterator<Item = Case<'_>>) {
    for (query, expected) in cases {
        let sql = query.clone().build().unwrap().sql().to_owned();
        assert_eq!(short(&query.lints().await.unwrap()), expected, "{sql}");
    }
}

#[tokio::test]
async fn lints_say_what_no_index_serves_and_what_has_no_bound() {
    let db = database().await;
    let (users, posts) = (|| db.from("users"), || db.from("posts"));
    assert_lints([
        (users().where_("id", "=", 1), FINE),
        (users().where_("email", "=", "x").limit(2), FINE),
        (users().where_in("id", [1, 2, 3]), FINE),
        (users().select(count_all()), FINE),
        (users().where_null("email").limit(5), FINE),
        (users().order_by("id", "asc").limit(5), FINE),
        (users(), "missing_limit"),
        (
            users().where_("name", "=", "secret").limit(5),
            "filter users (users.name = $1)",
        ),
        (
            posts().order_by("views", "desc").limit(5),
            "sort posts.views DESC",
        ),
        (
            posts().order_by("views", "desc"),
            "missing_limit, sort posts.views DESC",
        ),
    ])
    .await;
}

#[tokio::test]
async fn lints_of_joins_and_groups_name_what_an_index_could_serve() {
    let db = database().await;
    let joined = || {
        db.from("users")
            .join("posts", "posts.user_id", "=", "users.id")
    };
    let grouped = db
        .from("users")
        .select("age")
        .add_select(count_all())
        .group_by(["age"]);
    let apart = db
        .from("users")
        .join("posts", "posts.views", ">", val(5))
        .where_("users.age", ">", 3);
    assert_lints([
        (joined().limit(5), FINE),
        (grouped.order_by("age", "asc").limit(5), FINE),
        (
            joined().where_("users.id", "=", 1).limit(5),
            "filter posts (posts.user_id = $1)",
        ),
        (
            apart.limit(5),
            "filter users (users.age > $2), filter posts (posts.views > $1), cartesian posts",
        ),
        (
            db.from("users").cross_join("posts").limit(5),
            "cartesian posts",
        ),
    ])
    .await;
}

#[tokio::test]
async fn changes_have_lints_too_and_the_session_is_as_before() {
    let db = database().await;
    let users = || db.from("users");
    let update = users().where_("id", "=", 1).update(values! { age: 3 });
    assert_eq!(short(&update.lints().await.unwrap()), FINE);
    let delete = db.from("posts").where_("title", "=", "secret").delete();
    let lints = delete.lints().await.unwrap();
    assert_eq!(short(&lints), "filter posts (posts.title = $1)");
    let insert = users().insert(values! { name: "Dan" });
    assert_eq!(short(&insert.lints().await.unwrap()), FINE);

    let session = db.dedicated().await.unwrap();
    let plan = session.generic_plan("select from users where id = $1 and name = $2");
    assert_eq!(short(&plan.await.unwrap().lints()), FINE);
    let left = "select count(*) from pg_prepared_statements where name like 'aquifer_plan%'";
    let left: i64 = session.query_value(left, ()).await.unwrap();
    let setting: String = session
        .query_value("show enable_seqscan", ())
        .await
        .unwrap();
    assert_eq!((left, &*setting), (0, "on"));
    drop(session);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_statement_that_the_server_refuses_to_plan_leaves_the_session_usable() {
    let db = support::db_of(1).await;
    for _ in 0..3 {
        let error = db.from("nowhere").lints().await.unwrap_err();
        assert_eq!(error.sqlstate().unwrap().code(), "42P01");
        support::assert_whole(&db).await;
    }
    let session = db.dedicated().await.unwrap();
    let error = session.describe("select nope").await.unwrap_err();
    assert_eq!(error.database().unwrap().position(), Some(8));
    let utility = session.generic_plan("set work_mem = '1MB'").await;
    assert_eq!(utility.unwrap_err().sqlstate().unwrap().code(), "42601");
    let described = session.describe("select $1::int as number, now() at").await;
    let described = described.unwrap();
    assert_eq!(described.parameters()[0].name(), "int4");
    let columns: Vec<_> = described
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(columns, ["number", "at"]);
    // What is known of a text is asked again: its tables may be other ones by now.
    session.execute("create table t (a int)", ()).await.unwrap();
    let before = session.describe("select * from t").await.unwrap();
    session
        .execute("alter table t add b text", ())
        .await
        .unwrap();
    let after = session.describe("select * from t").await.unwrap();
    assert_eq!((before.columns().len(), after.columns().len()), (1, 2));
    let copy = session.describe("copy t from stdin").await.unwrap_err();
    assert_eq!(copy.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn no_value_is_shown_of_what_was_explained() {
    let db = database().await;
    let query = db.from("users").where_("name", "=", "canary-4711");
    let explained = query.clone().explain().await.unwrap();
    assert!(explained.json().to_string().contains("canary-4711"));
    assert!(!format!("{explained:?}").contains("canary"));
    for lint in query.lints().await.unwrap() {
        assert!(!format!("{lint} {lint:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_preview_that_is_given_up_leaves_nothing() {
    let db = database().await;
    let users = || db.from("users");
    let all = || users().all_rows();
    let rename = || all().update(values! { name: "Zoe" });
    let added = || users().insert(values! { name: "Dan" });
    let aborted = support::abort_at_every_poll(&db, || all().delete().explain_analyze()).await;
    assert!(aborted >= 2);
    support::abort_at_every_poll(&db, || rename().explain_analyze()).await;
    support::abort_at_every_poll(&db, || added().explain_analyze()).await;
    support::abort_at_every_poll(&db, || rename().explain()).await;
    support::abort_at_every_poll(&db, || added().dry_run()).await;
    support::abort_at_every_poll(&db, || users().explain_analyze()).await;
    support::abort_at_every_poll(&db, || rename().lints()).await;
    support::abort_at_every_poll(&db, || users().where_("id", "=", 1).lints()).await;
    assert_eq!(names(&db).await, "Ann Bob Cid");
    let plans = "select count(*) from pg_prepared_statements where name like 'aquifer_plan%'";
    for _ in 0..db.pool_status().connections_max {
        assert_eq!(db.query_value::<i64>(plans, ()).await.unwrap(), 0);
    }
}

/// Each polled once, twice, and so on until it is done, with a check of the session in between.
async fn abort_in_session<F: Future>(mut make: impl FnMut() -> F, check: impl AsyncFn()) -> usize {
    for polls in 1..200 {
        let done = support::abort_at(polls, make()).await.is_some();
        check().await;
        if done {
            return polls - 1;
        }
    }
    panic!("it is never done");
}

#[tokio::test]
async fn a_session_goes_on_after_a_look_that_was_given_up() {
    let db = database().await;
    let session = db.dedicated().await.unwrap();
    let whole = async || {
        let settings = "select current_setting('transaction_read_only') || ' ' || \
                        current_setting('enable_sort') || ' ' || current_setting('plan_cache_mode')";
        let settings: String = session.query_value(settings, ()).await.unwrap();
        assert_eq!(settings, "off on auto");
        assert_eq!(names(&session).await, "Ann Bob Cid");
        session
            .execute("update users set age = age", ())
            .await
            .unwrap();
    };
    // A text of its own each time, since one that is known is answered at once.
    let mut number = 0;
    let mut text = || {
        number += 1;
        aquifer::AssertSafe(format!("select name, {number} from users where id = $1"))
    };
    let aborted = abort_in_session(|| session.describe(text()), whole).await;
    assert!(aborted >= 1);
    let aborted = abort_in_session(|| session.generic_plan(text()), whole).await;
    assert!(aborted >= 3);
    let gone = || session.from("users").all_rows().delete();
    abort_in_session(|| gone().explain_analyze(), whole).await;
    // In a transaction of the session's own, which stays open.
    session.execute("begin", ()).await.unwrap();
    session
        .execute("delete from users where id = 3", ())
        .await
        .unwrap();
    let within = async || assert_eq!(names(&session).await, "Ann Bob");
    abort_in_session(|| session.generic_plan(text()), within).await;
    abort_in_session(|| gone().explain_analyze(), within).await;
    abort_in_session(|| session.describe(text()), within).await;
    session
        .execute("insert into users (name) values ('Dan')", ())
        .await
        .unwrap();
    session.execute("rollback", ()).await.unwrap();
    whole().await;
    drop(session);
    support::assert_whole(&db).await;
}
