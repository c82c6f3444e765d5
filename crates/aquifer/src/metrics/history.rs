//! What metrics were before: a bounded number of points of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::Value;

/// Points that are kept of each metric: at one a minute those of 16 hours.
const POINTS_MAX: usize = 1000;

/// Names and values that tell one series of a metric from another, in the order of the names.
pub type Tags = Arc<[(String, String)]>;

/// What a metric was at one moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DataPoint {
    /// When that was.
    pub time: SystemTime,
    /// In milliseconds if it is a duration.
    pub value: f64,
    /// Empty for the layer's own.
    pub tags: Tags,
}

#[derive(Debug, Default)]
pub(super) struct History {
    by_name: BTreeMap<String, VecDeque<DataPoint>>,
    collected: Option<Instant>,
}

impl History {
    pub(super) fn keep(&mut self, values: &[Value], now: Instant) {
        self.collected = Some(now);
        for value in values {
            let Some(point) = &value.point else { continue };
            if !self.by_name.contains_key(&value.name) {
                self.by_name.insert(value.name.clone(), VecDeque::new());
            }
            if let Some(points) = self.by_name.get_mut(&value.name) {
                if points.len() == POINTS_MAX {
                    points.pop_front();
                }
                points.push_back(point.clone());
            }
        }
    }

    pub(super) fn points(&self, name: &str) -> Vec<DataPoint> {
        let points = self.by_name.get(name);
        points.into_iter().flatten().cloned().collect()
    }

    /// When points were kept last.
    pub(super) fn collected(&self) -> Option<Instant> {
        self.collected
    }

    pub(super) fn clear(&mut self) {
        self.by_name.clear();
    }
}
