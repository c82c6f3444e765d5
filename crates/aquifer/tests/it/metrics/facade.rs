//! What the recorder of the `metrics` crate is handed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer::{MetricsCollector, Outcome};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<BTreeMap<String, f64>>>);

struct Note(Notes, String);

impl Note {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut notes = self.0.0.lock().unwrap();
        let value = notes.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Note {
    fn increment(&self, value: u64) {
        self.change(|before| before + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Note {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Note {
    fn record(&self, value: f64) {
        self.change(|before| before + value);
    }
}

impl Notes {
    fn note(&self, key: &Key) -> Arc<Note> {
        let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
        let name = format!("{} {}", key.name(), labels.join(","));
        Arc::new(Note(self.clone(), name))
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.note(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.note(key))
    }
}

#[test]
fn the_recorder_learns_what_came_since_the_last_time() {
    let notes = Notes::default();
    let collector = MetricsCollector::new();
    collector
        .counter("shop.orders", &[("region", "east")])
        .unwrap()
        .add(4);
    collector.update_redis(5, 6);
    let operation = "db_client_operation_duration_seconds postgresql";
    metrics::with_local_recorder(&notes, || {
        for round in 1..=3 {
            let second = Duration::from_secs(1);
            collector.track_postgres_query(second, Outcome::Success, false);
            collector.collect();
            let sum = notes.0.lock().unwrap()[operation];
            assert!(
                (sum - f64::from(round)).abs() < 0.03 * f64::from(round),
                "{sum}"
            );
        }
    });
    let notes = notes.0.lock().unwrap();
    assert_eq!(notes["shop_orders_total east"], 4.0);
    assert_eq!(notes["aquifer_redis_clients "], 6.0);
}
