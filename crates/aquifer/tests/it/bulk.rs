//! Many rows at a time: COPY both ways, streams, and inserts of many rows.

mod copy;
mod cuts;
mod drops;
mod insert;
mod stream;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aquifer::types::Numeric;
use aquifer::{AssertSafe, Db, Encode, Progress, Session};

/// A table of all common types; `tags` comes last, since UNNEST does not take it.
const EVERYTHING: &str = "\
    create type mood as enum ('glad', 'sad'); \
    create domain label as varchar(20) check (value <> 'x'); \
    create table everything (\
        id bigint primary key, small smallint not null, flag boolean, ratio double precision, \
        name text, note label, amount numeric(14, 4), seen timestamptz, doc jsonb, plain json, \
        raw bytea, feeling mood, key uuid, fixed char(3), tags text[])";

const COLUMNS: [&str; 14] = [
    "id", "small", "flag", "ratio", "name", "note", "amount", "seen", "doc", "plain", "raw",
    "feeling", "key", "fixed",
];

#[derive(Clone, Copy, Encode)]
#[aquifer(rename_all = "lowercase")]
enum Mood {
    Glad,
    Sad,
}

type Values = (
    i32,
    i64,
    Option<bool>,
    f32,
    Option<String>,
    Option<&'static str>,
    Option<Numeric>,
    SystemTime,
    Option<serde_json::Value>,
    serde_json::Value,
    Vec<u8>,
    Mood,
    &'static str,
    Option<&'static str>,
);

/// A row whose number decides what is NULL in it.
fn values(number: i32) -> Values {
    let every = |nth: i32| number % nth != 0;
    (
        number,
        i64::from(number % 30_000),
        every(2).then_some(number % 3 == 0),
        0.5 * number as f32,
        every(5).then(|| format!("name \"{number}\"\t\\N,\n")),
        every(7).then_some("note"),
        every(3).then(|| format!("{number}.25").parse().unwrap()),
        SystemTime::UNIX_EPOCH + Duration::from_secs(number.unsigned_abs().into()),
        every(11).then(|| serde_json::json!({ "n": number, "list": [1, null] })),
        serde_json::json!([number]),
        number.to_be_bytes().to_vec(),
        if every(2) { Mood::Glad } else { Mood::Sad },
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        every(4).then_some("ab"),
    )
}

/// The same rows, made by the server.
const EXPECTED: &str = "\
    select g::bigint, (g % 30000)::smallint, case when g % 2 <> 0 then g % 3 = 0 end, \
        (0.5 * g)::double precision, \
        case when g % 5 <> 0 then E'name \"' || g || E'\"\\t\\\\N,\\n' end, \
        (case when g % 7 <> 0 then 'note' end)::label, \
        (case when g % 3 <> 0 then g + 0.25 end)::numeric(14, 4), to_timestamp(g), \
        case when g % 11 <> 0 then jsonb_build_object('n', g, 'list', '[1, null]'::jsonb) end, \
        jsonb_build_array(g)::text, int4send(g), \
        (case when g % 2 <> 0 then 'glad' else 'sad' end)::mood, \
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, \
        (case when g % 4 <> 0 then 'ab' end)::char(3)";

/// How many rows of `table` are not as they should be, or are missing.
async fn wrong(db: &Db, table: &str, rows: i32) -> i64 {
    let columns = COLUMNS.join(", ").replace("plain", "plain::jsonb::text");
    let sql = format!(
        "with expected as ({EXPECTED} from generate_series(0, $1::int - 1) as g), \
              actual as (select {columns} from {table}) \
         select (select count(*) from (table expected except all table actual) a) \
              + (select count(*) from (table actual except all table expected) b)"
    );
    db.query_value(AssertSafe(sql), (rows,)).await.unwrap()
}

async fn count(db: &Db, table: &'static str) -> i64 {
    let sql = format!("select count(*) from {table}");
    db.query_value(AssertSafe(sql), ()).await.unwrap()
}

/// Remembers what was reported.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<Vec<Progress>>>);

impl Reports {
    fn report(&self) -> impl FnMut(Progress) + Send + 'static {
        let reports = Arc::clone(&self.0);
        move |progress| reports.lock().unwrap().push(progress)
    }

    /// They only grow, and the last one says all.
    fn end(&self, rows: u64) -> Progress {
        let reports = self.0.lock().unwrap();
        assert!(
            reports.is_sorted_by(|a, b| a.rows <= b.rows && a.bytes <= b.bytes),
            "{reports:?}"
        );
        let last = *reports.last().unwrap();
        assert_eq!(last.rows, rows);
        assert!(last.bytes > rows);
        last
    }
}
