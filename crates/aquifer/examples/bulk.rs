//! Many rows in and out: inserted, copied, streamed, dumped as CSV.
//!
//! `cargo run --package aquifer --example bulk` starts a private PostgreSQL for it.
#![allow(
    clippy::print_stdout,
    reason = "an example shows what it does by printing it"
)]

use std::error::Error;

use aquifer::migrate::Migrator;
use aquifer::{Db, Embedded, Session};

const MIGRATIONS: [(&str, &str); 1] = [(
    "0001_readings.sql",
    "create table readings (sensor int, value double precision, note text)",
)];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Embedded::start()?;
    let db = Db::connect(&server.url()).await?;
    use_it(&db).await?;
    db.close().await?;
    server.stop()?;
    Ok(())
}

async fn use_it(db: &Db) -> Result<(), Box<dyn Error>> {
    Migrator::from_files(MIGRATIONS)?.up(db).await?;

    // One statement for up to 32,768 rows; all or none of them.
    let rows = (0..50_000).map(|number| (number % 100, 0.5 * f64::from(number)));
    let inserted = db
        .insert_many("readings", ["sensor", "value"], rows)
        .on_progress(|progress| println!("{} rows so far", progress.rows))
        .await?;
    println!("inserted {inserted}");

    // The fastest way, for rows that come one by one; dropped before `finish`, nothing is inserted.
    let mut copy = db.copy_into("readings", ["sensor", "note"]).await?;
    for number in 0..50_000 {
        copy.write((number % 100, "copied")).await?;
    }
    println!("copied {}", copy.finish().await?);

    // Never more than a few hundred kilobytes here, however many rows there are.
    let mut sum = 0.0;
    let sql = "select coalesce(value, 0) from readings where sensor = $1";
    let mut values = db.stream_as::<(f64,)>(sql, (7,)).await?;
    while let Some((value,)) = values.next().await? {
        sum += value;
    }
    println!("sensor 7: {sum}");

    let mut bytes = 0;
    let mut csv = db
        .copy_out("copy readings to stdout (format csv, header)")
        .await?;
    while let Some(chunk) = csv.next().await? {
        bytes += chunk.len();
    }
    println!("{bytes} bytes of CSV");
    Ok(())
}
