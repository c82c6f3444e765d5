//! The connection is cut at each message: a typed error or success, never half of the rows, a
//! foreign reply or a hang.

use std::time::Duration;

use aquifer::{AssertSafe, Db, Error, ErrorKind, Session};
use aquifer_testkit::{Cut, Direction, Ending, Postgres, Proxy};

use crate::support;

/// More than a call waits for a connection, which is [`support::PATIENCE`].
const LIMIT: Duration = Duration::from_secs(180);

async fn through(proxy: &Proxy, table: &str) -> Db {
    let url = proxy.through(Postgres::shared().tcp_url());
    let config = support::config(url).connections_max(2);
    let db = Db::connect_with(&config).await.unwrap();
    let sql = format!("create table {table} (id bigint, name text)");
    db.execute(AssertSafe(sql), ()).await.unwrap();
    db
}

fn rows(table: &str) -> u64 {
    let count = Postgres::shared().psql(&format!("select count(*) from {table}"));
    count.parse().unwrap()
}

fn is_typed(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Connection | ErrorKind::Unknown | ErrorKind::Acquire | ErrorKind::Usage
    )
}

/// Runs `operation` with a cut at the first message, the second, and so on in each direction until
/// none is met; it inserts `inserts` rows or none.
async fn at_each_message(
    table: &str,
    inserts: u64,
    operation: impl AsyncFn(&Db) -> Result<(), Error>,
) {
    let proxy = Proxy::to_postgres(Postgres::shared());
    let db = through(&proxy, table).await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let (mut failed, cuts) = (0, proxy.traffic().cuts());
        // A dozen beyond the last that shows: a COPY that was not begun is begun again.
        for (nth, ending) in (1..).zip([Ending::Close, Ending::Reset].into_iter().cycle()) {
            let before = rows(table);
            proxy.cut(Cut::before_any(direction).nth(nth).with(ending));
            let outcome = tokio::time::timeout(LIMIT, operation(&db)).await;
            let outcome = outcome.unwrap_or_else(|_| {
                panic!(
                    "{direction:?} {nth} {ending:?}: neither an answer nor an error; {db:?} {:?}",
                    proxy.traffic()
                )
            });
            proxy.clear_cuts();
            tokio::time::timeout(LIMIT, async {
                while db.query("select 1", ()).await.is_err() {}
            })
            .await
            .expect("the pool is usable again");
            support::assert_whole(&db).await;
            let added = rows(table) - before;
            if let Err(error) = outcome {
                assert!(is_typed(&error), "{direction:?} {nth}: {error}");
                let may = error.kind() == ErrorKind::Unknown && added == inserts;
                assert!(added == 0 || may, "{direction:?} {nth}: {added}, {error}");
                failed = nth;
            } else {
                assert_eq!(added, inserts, "{direction:?} {nth}");
            }
            if nth > failed + 12 {
                break;
            }
        }
        // Not each cut costs an error: what was not begun is begun again.
        assert!(
            proxy.traffic().cuts() > cuts,
            "{direction:?}: no cut was met"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_in() {
    at_each_message("cut_copy_in", 3, async |db| {
        let mut copy = db.copy_into("cut_copy_in", ["id", "name"]).await?;
        for number in 0..3 {
            copy.write((number, "x".repeat(70_000))).await?;
        }
        assert_eq!(copy.finish().await?, 3);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_out() {
    at_each_message("cut_copy_out", 0, async |db| {
        let sql = "copy (select g from generate_series(1, 5) as g) to stdout";
        let mut copy = db.copy_out(sql).await?;
        let mut all = Vec::new();
        while let Some(bytes) = copy.next().await? {
            all.extend_from_slice(&bytes);
        }
        assert_eq!(all, b"1\n2\n3\n4\n5\n");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_writes() {
    at_each_message("cut_stream", 4, async |db| {
        let sql = "insert into cut_stream select g from generate_series(1, 4) as g returning id";
        let mut rows = db.stream_as::<(i64,)>(sql, ()).await?;
        let mut expected = 0;
        while let Some((id,)) = rows.next().await? {
            expected += 1;
            assert_eq!(id, expected);
        }
        assert_eq!(expected, 4);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_of_many_rows() {
    at_each_message("cut_insert", 40, async |db| {
        let name = "x".repeat(300_000);
        let rows = (0..40).map(|number| (number, &name));
        let inserted = db.insert_many("cut_insert", ["id", "name"], rows).await?;
        assert_eq!(inserted, 40);
        Ok(())
    })
    .await;
}
