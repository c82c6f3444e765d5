//! Many rows in and out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aquifer::{Db, Error, Session};

use super::excerpt::excerpt;
use super::figures;
use super::scene::Scene;
use super::stage::{Chapter, Failure, Step};

const SOURCE: &str = include_str!("bulk.rs");

const ROWS: i32 = 10_000;

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "10,000 rows in, in and out",
        why: "Inserted as arrays, copied in binary form, and streamed back without ever holding \
              them all; each tells how far it is.",
        code: excerpt(SOURCE, "bulk"),
    }
}

pub(super) async fn perform(step: &mut Step, scene: &Scene) -> Result<(), Failure> {
    let db = &scene.db;
    let told = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let inserted = insert(db, &told).await?;
    let insert_time = begun.elapsed();
    let copied = copy(db).await?;
    let copy_time = begun.elapsed() - insert_time;
    let (rows, sum) = stream(db).await?;
    let stream_time = begun.elapsed() - insert_time - copy_time;
    for (what, count, time) in [
        ("inserted", inserted, insert_time),
        ("copied", copied, copy_time),
        ("streamed", rows, stream_time),
    ] {
        step.note(&format!(
            "{} rows {what} in {}",
            figures::count(count),
            described(count, time)
        ));
    }
    let all = u64::try_from(ROWS)?;
    let expected = i64::from(ROWS) * i64::from(ROWS - 1);
    step.check(
        (inserted, copied, rows) == (all, all, 2 * all) && sum == expected,
        &format!(
            "the sum of what came back is that of what went in: {}",
            figures::count(sum)
        ),
    );
    step.check(
        told.load(Ordering::Relaxed) == usize::try_from(ROWS)?,
        &format!(
            "the last report of progress: {} rows",
            figures::count(told.load(Ordering::Relaxed))
        ),
    );
    Ok(())
}

fn described(rows: u64, time: Duration) -> String {
    let rate = u128::from(rows) * 1_000_000 / time.as_micros().max(1);
    format!(
        "{}: {} per second",
        figures::time(time),
        figures::count(rate)
    )
}

#[rustfmt::skip] // Laid out for the width of a terminal.
async fn insert(db: &Db, told: &Arc<AtomicUsize>) -> Result<u64, Error> {
    let rows = (0..ROWS).map(|number| (number % 100, number));
    let told = Arc::clone(told);
    let show = move |rows: u64| told.store(rows.try_into().unwrap_or(0), Ordering::Relaxed);
    // ANCHOR: bulk
    let inserted = db
        .insert_many("readings", ["sensor", "value"], rows)
        .on_progress(move |progress| show(progress.rows))
        .await?;
    // ANCHOR_END: bulk
    Ok(inserted)
}

#[rustfmt::skip]
async fn copy(db: &Db) -> Result<u64, Error> {
    let rows = (0..ROWS).map(|number| (number % 100, number));
    // ANCHOR: bulk
    let mut copy = db.copy_into("readings", ["sensor", "value"]).await?;
    for row in rows {
        copy.write(row).await?;
    }
    let copied = copy.finish().await?;
    // ANCHOR_END: bulk
    Ok(copied)
}

#[rustfmt::skip]
async fn stream(db: &Db) -> Result<(u64, i64), Error> {
    let (mut count, mut sum) = (0, 0);
    // ANCHOR: bulk
    let mut rows = db.stream_as::<(i64,)>("select value from readings", ()).await?;
    while let Some((value,)) = rows.next().await? {
        (count, sum) = (count + 1, sum + value);
    }
    // ANCHOR_END: bulk
    Ok((count, sum))
}
