//! The page for Prometheus, read by a parser that forgives nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aquifer::{MetricsCollector, Outcome, Session};

use crate::support;

type Labels = BTreeMap<String, String>;

/// A page that was read: samples by name.
#[derive(Debug, Default)]
struct Page {
    kinds: BTreeMap<String, String>,
    samples: Vec<(String, Labels, f64)>,
}

fn is_name(name: &str) -> bool {
    let first = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    first && name.bytes().all(rest)
}

/// Reads `name="value",…}` and returns what follows the brace.
fn labels(mut text: &str) -> (Labels, &str) {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"").expect("a label has a value");
        assert!(is_name(name) && !name.contains(':'), "{name}");
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next().expect("a value is closed") {
                (at, '"') => break at,
                (_, '\\') => match characters.next().expect("an escape is whole").1 {
                    'n' => value.push('\n'),
                    same @ ('\\' | '"') => value.push(same),
                    other => panic!("\\{other}"),
                },
                (_, '\n') => panic!("a bare line break"),
                (_, other) => value.push(other),
            }
        };
        assert!(
            labels.insert(name.to_owned(), value).is_none(),
            "{name} twice"
        );
        let (_, rest) = rest.split_at(end + 1);
        if let Some(rest) = rest.strip_prefix('}') {
            return (labels, rest);
        }
        text = rest
            .strip_prefix(',')
            .expect("a comma stands between labels");
    }
}

/// The name without what a histogram adds, if it is one.
fn family_of(name: &str, kind: &str) -> String {
    let endings = ["_bucket", "_sum", "_count"];
    let stripped = endings.iter().find_map(|ending| name.strip_suffix(ending));
    match kind {
        "histogram" => stripped
            .expect("a histogram has buckets, sum and count")
            .to_owned(),
        _ => name.to_owned(),
    }
}

fn read(text: &str) -> Page {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut page = Page::default();
    let mut seen = BTreeSet::new();
    let mut current = (String::new(), String::new());
    let mut helped = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("help has words");
            assert!(!help.is_empty());
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type is named");
            assert_eq!(name, helped, "HELP and TYPE stand together");
            assert!(is_name(name));
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            let before = page.kinds.insert(name.to_owned(), kind.to_owned());
            assert!(before.is_none(), "{name} has two families");
            current = (name.to_owned(), kind.to_owned());
        } else {
            let end = line.find(['{', ' ']).expect("a sample has a value");
            let (name, rest) = line.split_at(end);
            assert!(is_name(name), "{line}");
            assert_eq!(family_of(name, &current.1), current.0, "{line}");
            let (labels, rest) = match rest.strip_prefix('{') {
                Some(rest) => labels(rest),
                None => (Labels::new(), rest),
            };
            let number = rest.strip_prefix(' ').expect("one space");
            let number: f64 = number.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(
                seen.insert((name.to_owned(), labels.clone())),
                "twice: {line}"
            );
            page.samples.push((name.to_owned(), labels, number));
        }
    }
    page.check_histograms();
    page
}

impl Page {
    fn check_histograms(&self) {
        for (family, kind) in &self.kinds {
            if kind != "histogram" {
                continue;
            }
            for (name, labels, count) in &self.samples {
                if *name != format!("{family}_count") {
                    continue;
                }
                self.value(&format!("{family}_sum"), labels);
                let mut last = (f64::NEG_INFINITY, 0.0);
                for (name, bucket, value) in &self.samples {
                    let mut others = bucket.clone();
                    let le = others.remove("le");
                    if *name != format!("{family}_bucket") || others != *labels {
                        continue;
                    }
                    let le: f64 = le.expect("a bucket has an end").parse().unwrap();
                    assert!(le > last.0 && *value >= last.1, "{family} {bucket:?}");
                    last = (le, *value);
                }
                assert!(last.0.is_infinite(), "{family} ends in +Inf");
                assert!(
                    (last.1 - count).abs() < 0.5,
                    "{family}: all values are in +Inf"
                );
            }
        }
    }

    fn value(&self, name: &str, labels: &Labels) -> f64 {
        let same = |sample: &&(String, Labels, f64)| sample.0 == name && sample.1 == *labels;
        let found = self.samples.iter().find(same);
        found
            .unwrap_or_else(|| panic!("{name} {labels:?} is missing"))
            .2
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.value(name, &labels.iter().map(owned).collect())
    }
}

fn is(page: &Page, name: &str, labels: &[(&str, &str)], expected: f64) {
    let found = page.get(name, labels);
    assert!((found - expected).abs() < 1e-9, "{name}: {found}");
}

const TRICKY: &str = "a\"b\\c\nd}";

/// Four queries, one that failed, and something of everything else.
async fn use_it(db: &aquifer::Db) {
    for _ in 0..4 {
        db.execute("select 1", ()).await.unwrap();
    }
    db.execute("select 1/0", ()).await.unwrap_err();
    let metrics = db.metrics();
    let orders = metrics.counter("shop.orders", &[("name", TRICKY)]);
    orders.unwrap().add(7);
    let infinite = metrics.gauge("shop.infinite", &[]);
    infinite.unwrap().set(f64::INFINITY);
    let checkout = metrics.histogram("shop.checkout", &[("a", "")]);
    checkout.unwrap().record(Duration::from_secs(2));
    metrics.track_redis_operation(Duration::from_millis(2), Outcome::Success, Some(true));
    metrics.track_orm_query(Duration::from_millis(2), Outcome::Error);
    metrics.update_redis(7, 8);
}

#[tokio::test]
async fn the_page_is_valid_and_says_what_happened() {
    let db = support::db().await;
    use_it(&db).await;
    let page = read(&db.metrics().prometheus());
    let system = ("db_system_name", "postgresql");
    let count = "db_client_operation_duration_seconds_count";
    is(&page, count, &[system], 4.0);
    is(&page, count, &[system, ("error_type", "22012")], 1.0);
    is(&page, count, &[("db_system_name", "redis")], 1.0);
    let bucket = "db_client_operation_duration_seconds_bucket";
    is(&page, bucket, &[system, ("le", "10")], 4.0);
    is(&page, "shop_orders_total", &[("name", TRICKY)], 7.0);
    let bucket = "shop_checkout_seconds_bucket";
    is(&page, bucket, &[("a", ""), ("le", "1")], 0.0);
    is(&page, bucket, &[("a", ""), ("le", "5")], 1.0);
    is(&page, "aquifer_health", &[("service", "postgres")], 1.0);
    let mut samples = page.samples.iter();
    let max = samples.find(|(name, ..)| name == "db_client_connection_max");
    let (_, labels, max) = max.expect("the pool is on the page");
    assert!((*max - 10.0).abs() < 1e-9);
    let pool = &labels["db_client_connection_pool_name"];
    assert!(pool.contains('/'), "{pool}");
    let statements = read(&db.metrics().prometheus_statements());
    let calls = statements.samples.iter();
    let calls = calls.filter(|(name, ..)| name == "aquifer_statement_calls_total");
    let calls: f64 = calls.map(|(_, _, value)| value).sum();
    assert!((calls - 5.0).abs() < 1e-9, "{calls}");
}

#[test]
fn a_page_without_anything_is_valid_too() {
    let metrics = MetricsCollector::new();
    assert!(read(&metrics.prometheus()).samples.len() > 20);
}

#[test]
fn the_parser_forgives_nothing() {
    let start = "# HELP a_total x\n# TYPE a_total counter\n";
    for bad in [
        "a_total 1\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        &format!("{start}a_total 1"),
        &format!("{start}b_total 1\n"),
        &format!("{start}a_total 1\na_total 2\n"),
        &format!("{start}a_total{{b=\"\\x\"}} 1\n"),
        &format!("{start}a_total{{b=\"}} 1\n"),
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| read(bad)).is_err(), "{bad}");
    }
    read(&format!("{start}a_total 1\n"));
}
