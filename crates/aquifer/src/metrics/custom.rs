//! Metrics of the user's own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aquifer_core::histogram::Histogram;

use super::history::Tags;
use super::names::{RESERVED, float, quantiles};
use super::{MetricKind, Value};
use crate::{Error, ErrorKind};

/// Most sets of tags over all names.
const SERIES_MAX: usize = 1000;
/// Exports add these, so that a name which ends in one could mean two things.
const ENDINGS: [&str; 8] = [
    "total", "bucket", "sum", "count", "seconds", "avg", "p95", "p99",
];

/// A count of the user's own that only grows; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it counts now.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A state of the user's own; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// What it was set to last; 0 at first.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Durations of the user's own; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Timer(pub(super) Arc<Histogram>);

impl Timer {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        self.0.record_duration(duration);
    }
}

/// All of them, by name and tags.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<BTreeMap<String, Family>>);

/// Those of one name.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// The kind as its first series has it.
    pub(super) series: BTreeMap<Tags, Instrument>,
}

#[derive(Clone, Debug)]
pub(super) enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
    Timer(Timer),
}

impl Instrument {
    fn is_as(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl Registry {
    pub(super) fn counter(&self, name: &str, tags: &[(&str, &str)]) -> Result<Counter, Error> {
        match self.instrument(name, tags, Instrument::Counter(Counter::default()))? {
            Instrument::Counter(counter) => Ok(counter),
            _ => Err(other_kind(name)),
        }
    }

    pub(super) fn gauge(&self, name: &str, tags: &[(&str, &str)]) -> Result<Gauge, Error> {
        match self.instrument(name, tags, Instrument::Gauge(Gauge::default()))? {
            Instrument::Gauge(gauge) => Ok(gauge),
            _ => Err(other_kind(name)),
        }
    }

    pub(super) fn histogram(&self, name: &str, tags: &[(&str, &str)]) -> Result<Timer, Error> {
        match self.instrument(name, tags, Instrument::Timer(Timer::default()))? {
            Instrument::Timer(timer) => Ok(timer),
            _ => Err(other_kind(name)),
        }
    }

    /// The instrument of that name and those tags, `new` if there is none yet.
    fn instrument(
        &self,
        name: &str,
        tags: &[(&str, &str)],
        new: Instrument,
    ) -> Result<Instrument, Error> {
        check_name(name)?;
        let mut tags = check_tags(tags)?;
        let mut families = self.lock();
        let count: usize = families.values().map(|family| family.series.len()).sum();
        let family = families.entry(name.to_owned()).or_insert_with(|| Family {
            series: BTreeMap::new(),
        });
        let first = family.series.values().next();
        if first.is_some_and(|first| !first.is_as(&new)) {
            return Err(other_kind(name));
        }
        if count >= SERIES_MAX && !family.series.contains_key(&tags) {
            tags = [("overflow".to_owned(), "true".to_owned())].into();
        }
        Ok(family.series.entry(tags).or_insert(new).clone())
    }

    pub(super) fn values(&self, time: SystemTime) -> Vec<Value> {
        let mut values = Vec::new();
        for (name, family) in &*self.lock() {
            for (tags, instrument) in &family.series {
                let at = || (time, Arc::clone(tags));
                let mut push = |name: String, kind, value| {
                    values.push(Value::tagged(name, kind, Some(value), at()));
                };
                match instrument {
                    Instrument::Counter(counter) => {
                        push(name.clone(), MetricKind::Counter, float(counter.value()));
                    }
                    Instrument::Gauge(gauge) => {
                        push(name.clone(), MetricKind::Gauge, gauge.value());
                    }
                    Instrument::Timer(timer) => {
                        for (suffix, value) in quantiles(&timer.0.snapshot()) {
                            push(format!("{name}.{suffix}"), MetricKind::Histogram, value);
                        }
                    }
                }
            }
        }
        values
    }

    pub(super) fn families(&self) -> BTreeMap<String, Family> {
        self.lock().clone()
    }

    /// Gauges stay.
    pub(super) fn reset(&self) {
        for instrument in self
            .lock()
            .values()
            .flat_map(|family| family.series.values())
        {
            match instrument {
                Instrument::Counter(counter) => counter.0.store(0, Ordering::Relaxed),
                Instrument::Timer(timer) => timer.0.reset(),
                Instrument::Gauge(_) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let mut words = name.split('.');
    let is_word = |word: &str| {
        word.starts_with(|first: char| first.is_ascii_lowercase())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let problem = if !words.all(is_word) || name.len() > 200 {
        "must be lower-case words of letters and digits with a dot between, such as `orders.sent`"
    } else if RESERVED
        .iter()
        .any(|own| name.split('.').next() == Some(own))
    {
        "begins like the layer's own names; begin it with that of the service"
    } else if ENDINGS
        .iter()
        .any(|ending| name.split('.').next_back() == Some(ending))
    {
        "ends in a word that exports add by themselves; leave it out"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Usage,
        format!("the metric `{name}` {problem}"),
    ))
}

fn check_tags(tags: &[(&str, &str)]) -> Result<Tags, Error> {
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !["le", "quantile"].contains(&name)
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut sorted: Vec<_> = tags.iter().map(owned).collect();
    sorted.sort();
    let twice = sorted.windows(2).any(|pair| match pair {
        [(one, _), (other, _)] => one == other,
        _ => false,
    });
    if twice || tags.iter().any(|(name, _)| !is_name(name)) {
        let text = "a tag's name must be lower-case letters, digits and `_`, begin with a letter, \
                    stand once, and be neither `le` nor `quantile`";
        return Err(Error::new(ErrorKind::Usage, text));
    }
    Ok(sorted.into())
}

fn other_kind(name: &str) -> Error {
    let text =
        format!("the metric `{name}` is there already, as one of another kind; take another name");
    Error::new(ErrorKind::Usage, text)
}
