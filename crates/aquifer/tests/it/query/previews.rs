//! What the server would do: explained, run and taken back, judged.

use aquifer::query::{self, Lint, count_all, val};
use aquifer::{Db, ErrorKind, Session, raw, values};

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
        let rename = |db: &Db| {
            let change = db.from("users").all_rows().update(values! { name: "Zoe" });
            change.build().unwrap()
        };
        assert_eq!(rename(&db).parameters(), 1);
        let analyzed = db
            .from("users")
            .all_rows()
            .update(values! { name: "Zoe" })
            .explain_analyze()
            .await
            .unwrap();
        assert!(analyzed.execution_ms().is_some());
        let scanned = |explained: &query::Explained| {
            let steps = explained.steps();
            steps
                .iter()
                .filter_map(|step| step.rows_actual())
                .sum::<f64>() as u64
        };
        assert_eq!(scanned(&analyzed), 2);
        assert_eq!(names(&db).await, "Ann Bob");

        // In a transaction, what was done before stays.
        let tx = db.begin().await.unwrap();
        tx.execute("insert into users values (3, 'Cid')", ())
            .await
            .unwrap();
        let analyzed = tx.from("users").all_rows().delete().explain_analyze().await;
        assert_eq!(scanned(&analyzed.unwrap()), 3);
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

#[tokio::test]
async fn lints_say_what_no_index_serves_and_what_has_no_bound() {
    let db = database().await;
    let users = || db.from("users");
    let posts = || db.from("posts");
    let of = |lints: Result<Vec<Lint>, aquifer::Error>| {
        let lints = lints.unwrap();
        let shown = lints.iter().map(|lint| match lint {
            Lint::UnindexedFilter {
                table, condition, ..
            } => format!("filter {table} {condition}"),
            Lint::UnindexedSort { key, .. } => format!("sort {key}"),
            Lint::CartesianJoin { source } => format!("cartesian {source}"),
            other => other.name().to_owned(),
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    let fine = "";
    for (query, expected) in [
        (users().where_("id", "=", 1), fine),
        (users().where_("email", "=", "x").limit(2), fine),
        (users().where_in("id", [1, 2, 3]), fine),
        (users().select(count_all()), fine),
        (users().where_null("email").limit(5), fine),
        (users().order_by("id", "asc").limit(5), fine),
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
        (
            users()
                .join("posts", "posts.user_id", "=", "users.id")
                .where_("users.id", "=", 1)
                .limit(5),
            "filter posts (posts.user_id = $1)",
        ),
        (
            users()
                .join("posts", "posts.views", ">", val(5))
                .where_("users.age", ">", 3)
                .limit(5),
            "filter users (users.age > $2), filter posts (posts.views > $1), cartesian posts",
        ),
        (
            users()
                .join("posts", "posts.user_id", "=", "users.id")
                .limit(5),
            fine,
        ),
        (
            users()
                .select("age")
                .add_select(count_all())
                .group_by(["age"])
                .order_by("age", "asc")
                .limit(5),
            fine,
        ),
    ] {
        let sql = query.clone().build().unwrap().sql().to_owned();
        assert_eq!(of(query.lints().await), expected, "{sql}");
    }
    let update = users().where_("id", "=", 1).update(values! { age: 3 });
    assert_eq!(of(update.lints().await), fine);
    let delete = posts().where_("title", "=", "secret").delete();
    assert_eq!(of(delete.lints().await), "filter posts (posts.title = $1)");
    let insert = users().insert(values! { name: "Dan" });
    assert_eq!(of(insert.lints().await), fine);
    // The session is as before, and has nothing of it left.
    let left = "select count(*) from pg_prepared_statements where name like 'aquifer_plan%'";
    let session = db.dedicated().await.unwrap();
    let plan = session.generic_plan("select from users where id = $1 and name = $2");
    assert_eq!(of(Ok(plan.await.unwrap().lints())), fine);
    let kept: i64 = session.query_value(left, ()).await.unwrap();
    let setting: String = session
        .query_value("show enable_seqscan", ())
        .await
        .unwrap();
    assert_eq!((kept, &*setting), (0, "on"));
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
