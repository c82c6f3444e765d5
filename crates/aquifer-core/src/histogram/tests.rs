use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::{BUCKETS, Distribution, Histogram, MAGNITUDE_MAX, index, middle};

fn of(values: &[u64]) -> Distribution {
    let histogram = Histogram::new();
    for value in values {
        histogram.record(*value);
    }
    histogram.snapshot()
}

/// Values of every magnitude alike, not mostly enormous ones.
fn value() -> impl Strategy<Value = u64> {
    (0..MAGNITUDE_MAX).prop_flat_map(|magnitude| 0..(1_u64 << magnitude).saturating_mul(2))
}

fn is_near(found: u64, exact: u64) -> bool {
    found.abs_diff(exact) <= exact / 33 + 1
}

/// By nearest rank.
#[expect(clippy::cast_possible_truncation, reason = "the lists are short")]
#[expect(clippy::cast_precision_loss, reason = "the lists are short")]
#[expect(clippy::cast_sign_loss, reason = "a share is not negative")]
fn exact_index(share: f64, count: usize) -> usize {
    ((share * count as f64).ceil() as usize).max(1) - 1
}

proptest! {
    #[test]
    fn a_quantile_is_within_a_thirty_third_of_the_exact_one(
        mut values in prop::collection::vec(value(), 1..300),
        share in 0.0..=1.0_f64,
    ) {
        let distribution = of(&values);
        values.sort_unstable();
        for share in [share, 0.5, 0.95, 0.99, 1.0] {
            let exact = values[exact_index(share, values.len())];
            let found = distribution.quantile(share);
            prop_assert!(is_near(found, exact), "{share}: {found} for {exact}");
        }
    }

    #[test]
    fn count_sum_mean_and_maximum_are_exact(values in prop::collection::vec(value(), 1..300)) {
        let distribution = of(&values);
        let sum: u64 = values.iter().sum();
        prop_assert_eq!(distribution.count(), values.len() as u64);
        prop_assert_eq!(distribution.sum(), sum);
        prop_assert_eq!(distribution.average(), sum / values.len() as u64);
        prop_assert_eq!(Some(&distribution.max()), values.iter().max());
    }

    #[test]
    fn two_merged_are_as_one_of_all_values(
        left in prop::collection::vec(value(), 0..100),
        right in prop::collection::vec(value(), 0..100),
    ) {
        let mut merged = of(&left);
        merged.merge(&of(&right));
        let all = of(&[left, right].concat());
        prop_assert_eq!(format!("{merged:?}"), format!("{all:?}"));
    }

    #[test]
    fn a_greater_value_is_in_no_lower_bucket(left in any::<u64>(), right in any::<u64>()) {
        let (less, more) = (left.min(right), left.max(right));
        prop_assert!(index(less) <= index(more));
        prop_assert!(index(more) < BUCKETS);
    }

    #[test]
    fn counts_up_to_a_limit_grow_with_it(values in prop::collection::vec(value(), 1..100), limit in value()) {
        let distribution = of(&values);
        let counted = distribution.count_up_to(limit);
        prop_assert!(counted <= distribution.count_up_to(limit * 2));
        let surely = values.iter().filter(|value| **value + **value / 32 + 1 < limit).count();
        let perhaps = values.iter().filter(|value| **value <= limit + limit / 32 + 1).count();
        prop_assert!((surely as u64..=perhaps as u64).contains(&counted));
        prop_assert_eq!(distribution.count_up_to(u64::MAX), distribution.count());
    }
}

#[test]
fn what_came_since_is_told_by_bucket_also_after_a_reset() {
    let histogram = Histogram::new();
    histogram.record(3);
    let before = histogram.snapshot();
    histogram.record(3);
    histogram.record(9);
    let after = histogram.snapshot();
    assert_eq!(after.since(&before).collect::<Vec<_>>(), [(3, 1), (9, 1)]);
    histogram.reset();
    histogram.record(3);
    let anew = histogram.snapshot();
    assert_eq!(anew.since(&after).collect::<Vec<_>>(), [(3, 1)]);
}

#[test]
fn the_middle_of_each_bucket_lies_in_it() {
    for bucket in 0..BUCKETS {
        assert_eq!(index(middle(bucket)), bucket);
    }
}

#[test]
fn what_exceeds_the_buckets_is_seen_in_the_maximum() {
    let distribution = of(&[u64::MAX]);
    assert_eq!(distribution.max(), u64::MAX);
    assert_eq!(distribution.quantile(0.5), u64::MAX);
}

#[test]
fn without_values_everything_is_zero() {
    let empty = Histogram::default().snapshot();
    assert_eq!((empty.count(), empty.average(), empty.max()), (0, 0, 0));
    assert_eq!((empty.quantile(0.99), empty.count_up_to(9)), (0, 0));
}

#[test]
fn after_a_reset_it_is_as_new() {
    let histogram = Histogram::new();
    histogram.record_duration(Duration::from_millis(3));
    assert_eq!(histogram.snapshot().max(), 3_000_000);
    histogram.reset();
    let empty = Distribution::default();
    assert_eq!(format!("{:?}", histogram.snapshot()), format!("{empty:?}"));
}

#[test]
fn nothing_is_lost_when_several_threads_record() {
    let histogram = Arc::new(Histogram::new());
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let histogram = Arc::clone(&histogram);
            thread::spawn(move || {
                for value in 0..10_000 {
                    histogram.record(value * 4 + number);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let distribution = histogram.snapshot();
    assert_eq!(distribution.count(), 40_000);
    assert_eq!(distribution.sum(), (0..40_000).sum());
    assert_eq!(distribution.max(), 39_999);
}
