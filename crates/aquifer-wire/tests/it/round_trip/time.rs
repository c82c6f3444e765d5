use std::time::{Duration, SystemTime};

use aquifer_wire::Client;
use aquifer_wire::types::{Date, Interval, Time, TimeTz, Timestamp, TimestampTz};

use super::{Trip, printed, samples, strategies};
use crate::database::{row, run, session, version};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn dates() {
    let client = session().await;
    let mut values: Vec<Date> = parsed(&[
        "infinity",
        "-infinity",
        "4714-11-24 BC",
        "5874897-12-31",
        "0001-12-31 BC",
        "0001-01-01",
        "0005-02-29 BC",
        "1582-10-10",
        "1900-02-28",
        "2000-02-29",
        "9999-12-31",
        "10000-01-01",
    ]);
    values.extend([Date::MIN, Date::MAX]);
    values.extend(samples(strategies::date()));
    Trip::of(&client, "date").run(&values).await;
    printed(&client, "date", &values).await;
    // 4713 BC by its other name: the calendar has no year 0.
    let row = row(&client, "select '4713-01-01 BC'::date", &()).await;
    let date: Date = row.get(0).unwrap();
    assert_eq!(date.year_month_day(), Some((-4712, 1, 1)));
}

#[tokio::test]
async fn times_of_day() {
    let client = session().await;
    let mut values: Vec<Time> =
        parsed(&["00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001"]);
    values.extend(samples(strategies::time()));
    Trip::of(&client, "time").run(&values).await;
    printed(&client, "time", &values).await;
    let mut values: Vec<TimeTz> = parsed(&[
        "00:00:00+15:59:59",
        "24:00:00-15:59:59",
        "12:00:00+00",
        "12:00:00-00:00:01",
        "04:05:06.789+02:30",
    ]);
    values.extend(samples(strategies::time_tz()));
    Trip::of(&client, "timetz").run(&values).await;
    printed(&client, "timetz", &values).await;
}

#[tokio::test]
async fn timestamps() {
    let client = session().await;
    let mut values: Vec<Timestamp> = parsed(&[
        "infinity",
        "-infinity",
        "4714-11-24 00:00:00 BC",
        "294276-12-31 23:59:59.999999",
        "1999-12-31 23:59:59.999999",
        "0001-12-31 23:59:59.999999 BC",
        "2038-01-19 03:14:08",
    ]);
    values.extend(samples(strategies::timestamp()));
    Trip::of(&client, "timestamp").run(&values).await;
    printed(&client, "timestamp", &values).await;
    let moments: Vec<TimestampTz> = values.into_iter().map(TimestampTz::from_utc).collect();
    Trip::of(&client, "timestamptz").run(&moments).await;
    printed(&client, "timestamptz", &moments).await;
}

#[tokio::test]
async fn moments_do_not_depend_on_the_sessions_time_zone() {
    let client = session().await;
    let moment: TimestampTz = "2024-03-31 01:30:00+00".parse().unwrap();
    for zone in ["Europe/Berlin", "America/St_Johns", "UTC"] {
        client
            .script(&format!("set timezone to '{zone}'"))
            .await
            .unwrap();
        assert_eq!(client.parameter("TimeZone").unwrap(), zone);
        let row = row(
            &client,
            "select $1::timestamptz, $1::timestamptz::text::timestamptz",
            &(moment,),
        )
        .await;
        assert_eq!(row.get::<TimestampTz>(0).unwrap(), moment);
        assert_eq!(row.get::<TimestampTz>(1).unwrap(), moment);
    }
}

#[tokio::test]
async fn system_time_is_a_moment() {
    let client = session().await;
    let times: Vec<SystemTime> = samples(0_u64..10_000_000_000_000_000)
        .into_iter()
        .map(|microseconds| SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds))
        .collect();
    Trip::of(&client, "timestamptz").run(&times).await;
    let row = row(&client, "select 'infinity'::timestamptz, now()", &()).await;
    assert!(
        row.get::<SystemTime>(0)
            .unwrap_err()
            .to_string()
            .contains("TimestampTz")
    );
    let now: SystemTime = row.get(1).unwrap();
    let apart = SystemTime::now().duration_since(now).unwrap_or_default();
    assert!(apart < Duration::from_secs(60), "{apart:?}");
}

/// The extremes are infinities from version 17 on; before, no part may be the least of its type.
fn intervals(client: &Client) -> Vec<Interval> {
    let mut values: Vec<Interval> = parsed(&[
        "00:00:00",
        "1 year 2 mons 3 days 04:05:06.789",
        "-1 years -2 mons +3 days -04:05:06.789",
        "1 mon -1 days",
        "-1 mons +1 day",
        "-1 days +00:00:01",
        "-00:00:00.000001",
        "100:00:00",
        "-178956970 years -7 mons -2147483647 days -2562047788:00:54.775807",
        "P1Y-2M3DT-4H5M-6S",
    ]);
    values.extend(samples(strategies::interval()));
    if version(client) >= 17 {
        values.extend([Interval::INFINITY, Interval::NEG_INFINITY]);
    }
    values
}

#[tokio::test]
async fn intervals_keep_their_three_parts() {
    let client = session().await;
    let values = intervals(&client);
    Trip::of(&client, "interval").run(&values).await;
    // The least number of microseconds has no positive counterpart, and some versions print it wrongly.
    let printable: Vec<_> = values
        .into_iter()
        .filter(|interval| interval.microseconds != i64::MIN)
        .collect();
    printed(&client, "interval", &printable).await;
    // In the other style both sides read it too.
    client
        .script("set intervalstyle to iso_8601")
        .await
        .unwrap();
    for interval in printable {
        let text = format!("{interval:#}");
        let row = row(
            &client,
            "select $1::interval::text, $2::text::interval",
            &(interval, &text),
        )
        .await;
        assert_eq!(row.get::<String>(0).unwrap(), text, "{interval}");
        assert_eq!(row.get::<Interval>(1).unwrap(), interval, "{interval}");
    }
    let sums = run(
        &client,
        "select '2024-01-31'::date + $1::interval",
        &("1 mon",),
    )
    .await;
    assert_eq!(
        sums.unwrap().decode_column::<String>().unwrap(),
        ["2024-02-29 00:00:00"]
    );
}

#[cfg(all(feature = "chrono", feature = "jiff", feature = "time"))]
#[tokio::test]
async fn the_crates_for_dates_agree_with_the_server() {
    let client = session().await;
    let moments = samples(-2_000_000_000_i64..4_000_000_000);
    let chrono: Vec<_> = moments
        .iter()
        .map(|s| chrono::DateTime::from_timestamp(*s, 1_000).unwrap())
        .collect();
    Trip::of(&client, "timestamptz").run(&chrono).await;
    Trip::of(&client, "timestamp")
        .run(
            &chrono
                .iter()
                .map(chrono::DateTime::naive_utc)
                .collect::<Vec<_>>(),
        )
        .await;
    Trip::of(&client, "date")
        .run(
            &chrono
                .iter()
                .map(chrono::DateTime::date_naive)
                .collect::<Vec<_>>(),
        )
        .await;
    Trip::of(&client, "time")
        .run(
            &chrono
                .iter()
                .map(chrono::DateTime::time)
                .collect::<Vec<_>>(),
        )
        .await;
    let jiff: Vec<_> = moments
        .iter()
        .map(|s| jiff::Timestamp::new(*s, 1_000).unwrap())
        .collect();
    Trip::of(&client, "timestamptz").run(&jiff).await;
    let time: Vec<_> = moments
        .iter()
        .map(|s| time::OffsetDateTime::from_unix_timestamp(*s).unwrap())
        .collect();
    Trip::of(&client, "timestamptz").run(&time).await;
    Trip::of(&client, "date")
        .run(&time.iter().map(|time| time.date()).collect::<Vec<_>>())
        .await;
}
