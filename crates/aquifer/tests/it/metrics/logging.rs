//! What stands in the log and in spans, and what never does.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use aquifer::{Batch, Config, DatabaseManager, Db, Session};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_core::span::Current;

use crate::support;

thread_local! {
    /// What takes the lines of this thread.
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
}

/// The subscriber of the whole process: one for each thread at a time would race for what callsites
/// remember of them.
struct Router;

/// Ends a capture.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

/// Takes everything, at TRACE, of this thread.
#[derive(Clone, Default)]
struct Capture {
    lines: Arc<Mutex<Vec<String>>>,
    /// Names of the spans by their number, and those that are entered.
    spans: Arc<Mutex<Vec<&'static Metadata<'static>>>>,
    entered: Arc<Mutex<Vec<Id>>>,
}

/// `field=value` one after the other.
struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {field}={value}");
    }
}

impl Capture {
    fn begin() -> (Self, Guard) {
        static GLOBAL: Once = Once::new();
        GLOBAL.call_once(|| tracing::subscriber::set_global_default(Router).unwrap());
        let capture = Self::default();
        CAPTURE.set(Some(capture.clone()));
        (capture, Guard)
    }

    /// That of this thread, if it has one.
    fn current() -> Option<Self> {
        CAPTURE.with_borrow(Clone::clone)
    }

    fn push(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines of the layer itself that hold all these words.
    fn with(&self, words: &[&str]) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| {
            line.contains("aquifer") && words.iter().all(|word| line.contains(word))
        });
        lines
    }
}

fn described(metadata: &Metadata<'_>) -> String {
    format!("{} {}", metadata.level(), metadata.target())
}

impl Subscriber for Router {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        Capture::current().is_some()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let Some(capture) = Capture::current() else {
            return Id::from_u64(u64::MAX);
        };
        let mut line = format!(
            "span {} {}",
            described(span.metadata()),
            span.metadata().name()
        );
        span.record(&mut Text(&mut line));
        capture.push(line);
        let mut spans = capture.spans.lock().unwrap();
        spans.push(span.metadata());
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        let mut line = "aquifer span ended".to_owned();
        values.record(&mut Text(&mut line));
        if let Some(capture) = Capture::current() {
            capture.push(line);
        }
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = described(event.metadata());
        event.record(&mut Text(&mut line));
        if let Some(capture) = Capture::current() {
            capture.push(line);
        }
    }

    fn enter(&self, span: &Id) {
        if let Some(capture) = Capture::current() {
            capture.entered.lock().unwrap().push(span.clone());
        }
    }

    fn exit(&self, _span: &Id) {
        if let Some(capture) = Capture::current() {
            capture.entered.lock().unwrap().pop();
        }
    }

    fn current_span(&self) -> Current {
        let Some(capture) = Capture::current() else {
            return Current::none();
        };
        let entered = capture.entered.lock().unwrap();
        let Some(id) = entered.last() else {
            return Current::none();
        };
        let index = usize::try_from(id.into_u64()).unwrap() - 1;
        let metadata = capture.spans.lock().unwrap()[index];
        Current::new(id.clone(), metadata)
    }
}

const CANARY: &str = "canary-4711";

/// Runs everything that a value can be part of, well and badly.
async fn use_the_canary(db: &Db) {
    let canary = CANARY;
    db.execute_script("create table kept (a text primary key check (a <> 'canary-4711x'), b int)")
        .await
        .unwrap();
    db.execute("insert into kept (a) values ($1)", (canary,))
        .await
        .unwrap();
    // Refused, and the server's words repeat the value: a key, a check, an input, a RAISE.
    for (sql, with) in [
        ("insert into kept (a) values ($1)", canary),
        ("insert into kept (a) values ($1)", "canary-4711x"),
        ("select $1::text::int", canary),
        ("select $1::text::date", canary),
        ("select 'canary-4711'::int + length($1)", canary),
        (
            "select nothing from kept where a = 'canary-4711' or a = $1",
            canary,
        ),
        ("select $1::int", canary),
    ] {
        db.execute(sql, (with,)).await.unwrap_err();
    }
    db.execute("select 'canary-4711' from", ())
        .await
        .unwrap_err();
    db.execute("select 'canary-4711' 'canary-4711'", ())
        .await
        .unwrap_err();
    let raise = "do $$ begin raise exception 'canary-4711'; end $$";
    db.execute_script(raise).await.unwrap_err();
    // All tests share one server, so the role goes at once.
    let role = "create role kept_reader password 'canary-4711'; drop role kept_reader";
    db.execute_script(role).await.unwrap();
    db.query_value::<i64>("select a from kept where a = $1", (canary,))
        .await
        .unwrap_err();
    let batch = Batch::new()
        .add("select $1::text", (canary,))
        .add("select 1/0", ());
    db.batch(batch).await.unwrap_err();
    let tx = db.begin().await.unwrap();
    tx.execute("insert into kept (a) values ($1)", (canary,))
        .await
        .unwrap_err();
    tx.rollback().await.unwrap();
    let mut copy = db.copy_in("copy kept (a) from stdin").await.unwrap();
    copy.send(&b"canary-4711-copied\n"[..]).await.unwrap();
    copy.finish().await.unwrap();
    let mut copy = db.copy_in("copy kept (b) from stdin").await.unwrap();
    copy.send(&b"canary-4711\n"[..]).await.unwrap();
    copy.finish().await.unwrap_err();
    db.insert_many("kept", ["a"], [(canary,)])
        .await
        .unwrap_err();
    let slow = db.with_query_timeout(Duration::from_millis(30));
    slow.execute("select pg_sleep(5), 'canary-4711', $1::text", (canary,))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn no_value_and_no_password_is_ever_logged() {
    let (capture, _guard) = Capture::begin();
    let config = support::config(support::url())
        .redis_url("redis://user:canary-4711@localhost:1/0")
        .advanced(|advanced| advanced.slow_query_threshold(Duration::from_millis(1)));
    let db = Db::connect_with(&config).await.unwrap();
    use_the_canary(&db).await;
    let refused = Config::new().url("postgres://u:canary-4711@127.0.0.1:9/d?sslmode=disable");
    let error = Db::connect_with(&refused).await.unwrap_err();
    let manager = DatabaseManager::new(refused.clone());
    let shown = format!(
        "{error} {error:?} {refused:?} {config:?} {db:?} {manager:?} {:?}",
        db.metrics()
    );
    assert!(!shown.contains(CANARY), "{shown}");
    let figures = format!(
        "{:?} {}",
        db.metrics().statements(),
        db.metrics().prometheus()
    );
    assert!(!figures.contains("canary"), "{figures}");
    for words in [
        &["query finished"][..],
        &["query failed"],
        &["slow query"],
        &["connection opened"],
        &["span"],
    ] {
        assert!(
            !capture.with(words).is_empty(),
            "nothing was logged of {words:?}"
        );
    }
    for line in capture.lines() {
        assert!(!line.contains("canary"), "{line}");
    }
}

#[tokio::test]
async fn a_query_is_a_span_with_the_attributes_of_opentelemetry() {
    let (capture, _guard) = Capture::begin();
    let db = support::db().await;
    db.query("select relname from pg_class where relname = 'pg_proc'", ())
        .await
        .unwrap();
    db.execute("select 1/0 from pg_class", ())
        .await
        .unwrap_err();
    let spans = capture.with(&["span", "aquifer.query"]);
    let [found, failed] = &spans[..] else {
        panic!("{spans:?}");
    };
    for part in [
        "DEBUG aquifer::query",
        "otel.name=select pg_class",
        "otel.kind=client",
        "db.system.name=postgresql",
        "db.namespace=",
        "db.query.text=select relname from pg_class where relname = ?",
        "db.query.summary=select pg_class",
        "server.address=",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert!(failed.contains("select ?/? from pg_class"));
    assert_eq!(capture.with(&["ended", "returned_rows=1"]).len(), 1);
    for part in [
        "otel.status_code=ERROR",
        "error.type=22012",
        "status_code=22012",
    ] {
        assert_eq!(
            capture.with(&["ended", part]).len(),
            1,
            "{part}: {:?}",
            capture.lines()
        );
    }
}

#[tokio::test]
async fn an_operation_on_many_rows_is_one_span_and_counted_with_its_rows() {
    let (capture, _guard) = Capture::begin();
    let db = support::db().await;
    db.execute("create table t (a int)", ()).await.unwrap();
    let into = "copy t from stdin";
    let mut copy = db.copy_in(into).await.unwrap();
    copy.send(&b"1\n".repeat(100_000)).await.unwrap();
    copy.send(b"2\n").await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 100_001);
    let rows = (0..3).map(|a| (a,));
    db.insert_many("t", ["a"], rows).await.unwrap();
    let out = "copy (select a from t limit 7) to stdout";
    let mut copy = db.copy_out(out).await.unwrap();
    while copy.next().await.unwrap().is_some() {}
    let mut stream = db.stream("select a from t limit 50", ()).await.unwrap();
    stream.next().await.unwrap().expect("a row");
    drop(stream);
    let mut wrong = db.copy_in("copy t (a) from stdin").await.unwrap();
    wrong.send(b"x\n").await.unwrap();
    wrong.finish().await.unwrap_err();
    let statements = db.metrics().statements();
    for (text, rows, errors) in [
        (into, 100_001, 0),
        ("insert into \"t\" (\"a\") values ($1)", 3, 0),
        ("copy (select a from t limit ?) to stdout", 7, 0),
        ("select a from t limit ?", 50, 0),
        ("copy t (a) from stdin", 0, 1),
    ] {
        let found = statements.iter().find(|statement| statement.text == text);
        let found = found.unwrap_or_else(|| panic!("{text} is not in {statements:?}"));
        let counted = (found.calls, found.rows, found.errors);
        assert_eq!(counted, (1, rows, errors), "{text}");
        let text = format!("db.query.text={text} ");
        let spans = capture.with(&["span", "aquifer.query", &text]);
        assert_eq!(spans.len(), 1, "{text}: {:?}", capture.lines());
    }
    assert_eq!(capture.with(&["ended", "returned_rows=100001"]).len(), 1);
    assert_eq!(capture.with(&["ended", "error.type=22P02"]).len(), 1);
    support::assert_whole(&db).await;
}

#[tokio::test]
async fn a_slow_query_is_logged_with_its_place_and_its_times() {
    let (capture, _guard) = Capture::begin();
    let config = support::config(support::url());
    let threshold = Duration::from_secs(1);
    let config = config.advanced(|advanced| advanced.slow_query_threshold(threshold));
    let db = Db::connect_with(&config).await.unwrap();
    db.execute("select 1", ()).await.unwrap();
    db.execute("select pg_sleep($1)", (1.05_f64,))
        .await
        .unwrap();
    let lines = capture.with(&["slow query"]);
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    for part in [
        "WARN aquifer::slow",
        "sql=select pg_sleep($1)",
        "elapsed=",
        "queue=",
        "execute=",
        "rows=1",
        "attempts=1",
        "at=crates/aquifer/tests/it/metrics/logging.rs",
        "suppressed=0",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}
