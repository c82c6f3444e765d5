//! The query methods of `Session`.

use aquifer::types::ParamList;
use aquifer::{AssertSafe, Batch, ErrorKind, Retry, Row, Session, raw};

use crate::support;

#[tokio::test]
async fn each_method_returns_its_shape() {
    let db = support::db().await;
    db.execute_script(
        "create table t (a bigint, b text); insert into t values (1, 'x'), (2, null)",
    )
    .await
    .unwrap();
    let rows: Vec<Row> = db.query("select a, b from t order by a", ()).await.unwrap();
    assert_eq!(rows[1].get::<Option<String>>("b").unwrap(), None);
    let pairs: Vec<(i64, Option<String>)> = db
        .query_as("select a, b from t order by a", ())
        .await
        .unwrap();
    assert_eq!(pairs, [(1, Some("x".to_owned())), (2, None)]);
    let one: (i64, String) = db
        .query_one("select a, b from t where a = $1", (1,))
        .await
        .unwrap();
    assert_eq!(one, (1, "x".to_owned()));
    let none: Option<(i64,)> = db
        .query_opt("select a from t where a = $1", (9_i16,))
        .await
        .unwrap();
    assert_eq!(none, None);
    let count: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(count, 2);
    let column: Vec<i64> = db
        .query_column("select a from t order by a desc", ())
        .await
        .unwrap();
    assert_eq!(column, [2, 1]);
    assert_eq!(db.execute("update t set b = 'y'", ()).await.unwrap(), 2);
    let batch = Batch::new()
        .add("insert into t values ($1, $2)", (3_i64, "z"))
        .add("delete from t where a < $1", (3_i64,))
        .add(
            raw!("insert into t values ({}, {})", 4_i64, "w".to_owned()),
            (),
        );
    assert_eq!(db.batch(batch).await.unwrap(), [1, 2, 1]);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn one_row_means_one() {
    let db = support::db().await;
    let error = db
        .query_one::<(i64,)>("select 1::bigint where false", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = db
        .query_value::<i64>("select generate_series(1, 2)::bigint", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRows);
    let error = db
        .query_opt::<(i64,)>("select generate_series(1, 2)::bigint", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRows);
}

#[tokio::test]
async fn a_batch_takes_effect_whole_or_not_at_all() {
    let db = support::db().await;
    db.execute("create table t (a int primary key)", ())
        .await
        .unwrap();
    let batch = Batch::new()
        .add("insert into t values ($1)", (1,))
        .add("insert into t values ($1)", (1,))
        .add("insert into t values ($1)", (2,));
    let error = db.batch(batch).await.unwrap_err();
    assert_eq!(error.constraint(), Some("t_pkey"));
    let left: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
    assert_eq!(left, 0);
    assert_eq!(db.batch(Batch::new()).await.unwrap(), [0; 0]);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn parameters_come_as_tuple_array_slice_or_list() {
    let db = support::db().await;
    let sql = "select $1::bigint + $2::bigint";
    let mut list = ParamList::new();
    list.push(1_i64);
    list.push(2_i64);
    let sums: [i64; 4] = [
        db.query_value(sql, (1_i32, 2_i64)).await.unwrap(),
        db.query_value(sql, [1_i64, 2]).await.unwrap(),
        db.query_value(sql, &[1_i64, 2][..]).await.unwrap(),
        db.query_value(sql, list).await.unwrap(),
    ];
    assert_eq!(sums, [3; 4]);
    let built = format!("select {}::bigint", "40 + 2");
    let value: i64 = db.query_value(AssertSafe(built), ()).await.unwrap();
    assert_eq!(value, 42);
    let value: i64 = db
        .query_value(raw!("select {}::bigint", 43_i64), ())
        .await
        .unwrap();
    let text = String::from(" borrow ");
    let (part, list): (&str, &[i64]) = (text.trim(), &[40, 3]);
    let borrowed: String = db
        .query_value(
            raw!(
                "select {}::text || array_to_string({}::bigint[], '+')",
                part,
                list
            ),
            (),
        )
        .await
        .unwrap();
    assert_eq!(borrowed, "borrow40+3");
    assert_eq!(value, 43);
    let error = db
        .query(raw!("select {}::bigint", 43_i64), (1,))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn mistakes_are_refused_before_anything_is_sent_and_say_what_to_do() {
    let db = support::db().await;
    let error = db.query("select $1::bigint", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(
        error.to_string().contains("takes 1, the call gives 0"),
        "{error}"
    );
    let error = db
        .query("select $1::smallint", (70_000_i32,))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    for part in ["$1", "i32", "int2"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let error = db.query("select $1::text", ("a\0b",)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    let error = db.query("select 1 -- \0", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    let many: Vec<i32> = vec![1; 65_536];
    let error = db.query("select 1", many.as_slice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit);
    assert!(error.to_string().contains("ANY"), "{error}");
    for sql in [
        "begin",
        "commit",
        "  /* x */ ROLLBACK",
        "savepoint a",
        "start transaction",
    ] {
        let error = db.query(AssertSafe(sql), ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}");
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn server_errors_carry_their_parts() {
    let db = support::db().await;
    db.execute_script("create table parent (id int primary key); create table child (p int references parent, n int not null)")
        .await
        .unwrap();
    let error = db
        .execute("insert into child values (1, 1)", ())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert_eq!(error.sqlstate().unwrap().code(), "23503");
    assert_eq!(
        (error.table(), error.constraint()),
        (Some("child"), Some("child_p_fkey"))
    );
    assert_eq!(error.retry(), Retry::Never);
    let error = db
        .execute("insert into child (p) values (null)", ())
        .await
        .unwrap_err();
    assert_eq!((error.table(), error.column()), (Some("child"), Some("n")));
    let error = db
        .query("select * from no_such_table", ())
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "42P01");
    assert_eq!(size_of::<aquifer::Error>(), size_of::<usize>());
}

#[tokio::test]
async fn reads_share_lanes_and_hidden_writes_are_neither_lost_nor_doubled() {
    let db = support::db().await;
    db.execute_script(
        "create table t (a int); create sequence s; \
         create function hidden() returns int language sql volatile as 'insert into t values (1) returning a'; \
         create function liar() returns int language sql stable as 'select nextval(''s'')::int'",
    )
    .await
    .unwrap();
    support::until("the lanes are open", || db.pool_status().lanes == 2).await;
    // The first call learns, the later ones are routed by what was learned.
    for round in 1..=3_i64 {
        let value: i32 = db.query_value("select hidden()", ()).await.unwrap();
        assert_eq!(value, 1);
        let rows: i64 = db.query_value("select count(*) from t", ()).await.unwrap();
        assert_eq!(rows, round);
        let with: i32 = db
            .query_value(
                "with w as (insert into t values (0) returning a) select a from w",
                (),
            )
            .await
            .unwrap();
        assert_eq!(with, 0);
        db.execute("delete from t where a = 0", ()).await.unwrap();
        // A function that lies about its volatility is refused by the lane and moves.
        let next: i32 = db.query_value("select liar()", ()).await.unwrap();
        assert_eq!(i64::from(next), round);
    }
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn session_state_does_not_reach_the_next_caller() {
    let db = support::db_of(1).await;
    db.execute("set search_path = pg_temp", ()).await.unwrap();
    support::assert_whole(&db).await;
    let path: String = db.query_value("show search_path", ()).await.unwrap();
    assert_eq!(path, "\"$user\", public");
    db.query("select set_config('application_name', 'leak', false)", ())
        .await
        .unwrap();
    let name: String = db.query_value("show application_name", ()).await.unwrap();
    assert_ne!(name, "leak");
    {
        let session = db.dedicated().await.unwrap();
        session
            .execute("create temp table mine (a int)", ())
            .await
            .unwrap();
        session
            .execute("set work_mem = '1234kB'", ())
            .await
            .unwrap();
        session
            .query("select pg_advisory_lock(7)", ())
            .await
            .unwrap();
        session.execute("begin", ()).await.unwrap();
    }
    support::assert_whole(&db).await;
    let memory: String = db.query_value("show work_mem", ()).await.unwrap();
    assert_ne!(memory, "1234kB");
    let locks: i64 = db
        .query_value(
            "select count(*) from pg_locks where locktype = 'advisory'",
            (),
        )
        .await
        .unwrap();
    assert_eq!(locks, 0);
    let error = db.query("select * from mine", ()).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "42P01");
}

#[tokio::test]
async fn a_change_of_the_schema_shows_no_stale_plan() {
    let db = support::db().await;
    db.execute_script("create table t (a int); insert into t values (1)")
        .await
        .unwrap();
    for round in 0..4 {
        let rows = db.query("select * from t", ()).await.unwrap();
        assert_eq!(rows[0].columns().list().len(), 1 + round);
        let inserted: Vec<Row> = db
            .query("insert into t (a) values (1) returning *", ())
            .await
            .unwrap();
        assert_eq!(inserted[0].columns().list().len(), 1 + round);
        db.execute(
            AssertSafe(format!(
                "alter table t add column c{round} text default 'x'"
            )),
            (),
        )
        .await
        .unwrap();
    }
    db.execute_script("create type mood as enum ('sad'); create table m (v mood)")
        .await
        .unwrap();
    db.execute("insert into m values ($1)", ("sad",))
        .await
        .unwrap();
    db.execute_script("alter type mood add value 'glad'")
        .await
        .unwrap();
    db.execute("insert into m values ($1)", ("glad",))
        .await
        .unwrap();
    let moods: Vec<String> = db
        .query_column("select v from m order by v", ())
        .await
        .unwrap();
    assert_eq!(moods, ["sad", "glad"]);
}
