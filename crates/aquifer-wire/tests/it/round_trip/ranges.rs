use std::ops::Bound;

use aquifer_wire::types::{Date, Multirange, Numeric, Range, Timestamp, TimestampTz};
use proptest::prelude::*;

use super::{Trip, samples, strategies};
use crate::database::{row, run, session};

/// A range of whole numbers as the server keeps it: from the first up to and not with the last.
fn canonical(range: &Range<i64>) -> Range<i64> {
    let Range::Bounds { lower, upper } = range else {
        return Range::Empty;
    };
    let lower = match lower {
        Bound::Excluded(value) => Bound::Included(value + 1),
        other => *other,
    };
    let upper = match upper {
        Bound::Included(value) => Bound::Excluded(value + 1),
        other => *other,
    };
    match (lower, upper) {
        (Bound::Included(first), Bound::Excluded(end)) if first >= end => Range::Empty,
        _ => Range::new(lower, upper),
    }
}

/// Bounds in order, as the server wants them.
fn ordered<T: PartialOrd + Clone>(range: Range<T>) -> Range<T> {
    let Range::Bounds { lower, upper } = &range else {
        return range;
    };
    match (lower, upper) {
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b))
            if a > b =>
        {
            Range::new(Bound::Included(b.clone()), Bound::Excluded(a.clone()))
        }
        _ => range,
    }
}

/// The same, unless it is of one point, which the server may know to be empty.
fn wide<T: PartialOrd + Clone>(range: Range<T>) -> Option<Range<T>> {
    let range = ordered(range);
    if let Range::Bounds {
        lower: Bound::Included(a) | Bound::Excluded(a),
        upper: Bound::Included(b) | Bound::Excluded(b),
    } = &range
        && a == b
    {
        return None;
    }
    Some(range)
}

#[tokio::test]
async fn ranges_of_whole_numbers_and_days_are_made_canonical() {
    let client = session().await;
    let ranges = samples(strategies::range(-1_000_i64..1_000))
        .into_iter()
        .map(ordered);
    let ranges: Vec<Range<i64>> = ranges.chain([Range::from(..), Range::from(5..5)]).collect();
    for range in &ranges {
        let row = row(
            &client,
            "select $1::int8range, $1::int8range::text",
            &(range,),
        )
        .await;
        assert_eq!(
            row.get::<Range<i64>>(0).unwrap(),
            canonical(range),
            "{range:?}"
        );
    }
    let kept: Vec<_> = ranges.iter().map(canonical).collect();
    Trip::of(&client, "int8range").run(&kept).await;
    Trip::of(&client, "int4range").run(&kept).await;
    let sql = "select '(1,5]'::int4range, '[2024-02-28,2024-02-29]'::daterange, 'empty'::int4range, '(,)'::int4range";
    let row = row(&client, sql, &()).await;
    assert_eq!(row.get::<Range<i32>>(0).unwrap(), Range::from(2..6));
    let day = |text: &str| text.parse::<Date>().unwrap();
    assert_eq!(
        row.get::<Range<Date>>(1).unwrap(),
        Range::from(day("2024-02-28")..day("2024-03-01"))
    );
    assert_eq!(row.get::<Range<i32>>(2).unwrap(), Range::Empty);
    assert_eq!(row.get::<Range<i32>>(3).unwrap(), Range::from(..));
}

#[tokio::test]
async fn ranges_of_points_in_between_keep_their_bounds() {
    let client = session().await;
    let numbers = samples(strategies::range(strategies::numeric().boxed()));
    let numbers: Vec<Range<Numeric>> = numbers.into_iter().filter_map(wide).collect();
    Trip::of(&client, "numrange").run(&numbers).await;
    let times = samples(strategies::range(strategies::timestamp().boxed()));
    let times: Vec<Range<Timestamp>> = times.into_iter().filter_map(wide).collect();
    Trip::of(&client, "tsrange").run(&times).await;
    let infinite = [
        Range::from(TimestampTz::NEG_INFINITY..TimestampTz::INFINITY),
        Range::from(..TimestampTz::MIN),
    ];
    Trip::of(&client, "tstzrange").run(&infinite).await;
}

#[tokio::test]
async fn multiranges_are_sorted_and_joined() {
    let client = session().await;
    let row = row(
        &client,
        "select $1::int4multirange",
        &(Multirange(vec![
            Range::from(5..7),
            Range::from(1..3),
            Range::Empty,
            Range::from(3..=4),
        ]),),
    )
    .await;
    assert_eq!(
        row.get::<Multirange<i32>>(0).unwrap(),
        Multirange(vec![Range::from(1..7)])
    );
    let gaps = |first: i64, count: i64| {
        (0..count)
            .map(move |at| Range::from(first + 3 * at..first + 3 * at + 2))
            .collect::<Multirange<i64>>()
    };
    let mut values: Vec<_> = samples((-1_000_i64..1_000, 0_i64..9))
        .into_iter()
        .map(|(first, count)| gaps(first, count))
        .collect();
    values.push(Multirange(vec![Range::from(..)]));
    values.push(Multirange(vec![Range::from(..1), Range::from(5..)]));
    Trip::of(&client, "int8multirange").run(&values).await;
}

#[tokio::test]
async fn ranges_of_ones_own() {
    let client = session().await;
    let script = "create type floats as range (subtype = float8);
                  create domain small as int4 check (value < 100);
                  create type smalls as range (subtype = small);
                  create domain some_smalls as smalls";
    client.script(script).await.unwrap();
    let floats = samples(strategies::range(-1.0..1.0))
        .into_iter()
        .map(ordered)
        .collect::<Vec<_>>();
    let kept: Vec<Range<f64>> = floats
        .into_iter()
        .filter(|range| *range != Range::Empty)
        .collect();
    Trip::of(&client, "floats").run(&kept).await;
    let multirange = Multirange(vec![Range::from(0.0..0.5), Range::from(0.75..)]);
    Trip::of(&client, "floats_multirange")
        .run(&[multirange])
        .await;
    Trip::of(&client, "smalls").run(&[Range::from(1..50)]).await;
    Trip::of(&client, "some_smalls")
        .run(&[Range::from(1..50), Range::Empty])
        .await;
    let error = run(&client, "select $1::smalls", &(Range::from(1..500),))
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "23514", "{error}");
    // A bound beyond the other is the server's to refuse.
    let error = run(
        &client,
        "select $1::int4range",
        &(Range::new(Bound::Included(5), Bound::Excluded(1)),),
    )
    .await
    .unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "22000", "{error}");
}
