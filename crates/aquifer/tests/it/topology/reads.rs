//! Reads on replicas: which one, how late, and what is no read.

use std::time::Duration;

use aquifer::{
    BreakerLane, BreakerOrder, BreakerState, BreakerStatus, Consistency, Db, Error, ErrorKind,
    Event, HostRole, Isolation, Session, TransactionOptions,
};
use aquifer_testkit::{Cluster, Postgres};

use super::{blocking, connect_as, event, host, until_role};
use crate::support::{self, abort_at_every_poll};

/// More than a checkpoint in the middle of a test makes, which writes whole pages anew.
const LAG_MAX: u32 = 512 * 1024;

const WHERE: &str = "select inet_server_port()";

async fn port(db: &Db) -> i32 {
    db.query_value(WHERE, ()).await.unwrap()
}

struct World {
    cluster: Cluster,
    db: Db,
}

impl World {
    async fn start() -> Self {
        let cluster = blocking(|| Cluster::start(1));
        let db = connect_as(&cluster.url(), |config| {
            config.advanced(|advanced| {
                advanced
                    .lag_bytes_max(LAG_MAX)
                    .probe_interval(Duration::from_millis(100))
            })
        })
        .await;
        let script = "create table notes (id int primary key, text text); \
                      create function writes() returns int language sql as \
                      $$ insert into notes values (-1, 'written') returning id $$; \
                      create function sick() returns int language plpgsql stable as \
                      $$ begin raise 'no disk' using errcode = '58030'; end $$; \
                      create view hidden as select writes() as id";
        db.execute_script(script).await.unwrap();
        let world = Self { cluster, db };
        until_role(&world.db, world.standby(), HostRole::Standby).await;
        blocking(|| world.standby().catch_up(world.primary()));
        world
    }

    fn primary(&self) -> &Postgres {
        self.cluster.primary()
    }

    fn standby(&self) -> &Postgres {
        self.cluster.standbys()[0]
    }

    fn is_on_standby(&self, port: i32) -> bool {
        port == i32::from(self.standby().port())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_to_replicas_and_nothing_else_does() {
    let world = World::start().await;
    only_reads(&world).await;
    answers(&world).await;
    sick_replicas(&world).await;
    transactions(&world).await;
    own_writes(&world).await;
    kept_results(&world).await;
    conflicts(&world).await;
    drops(&world).await;
    lag(&world).await;
    support::assert_whole(&world.db).await;
}

/// A replica that is behind would give what was before a write that has made all that is kept a miss.
async fn kept_results(world: &World) {
    let hour = Duration::from_secs(3_600);
    let read = world.db.read();
    let count = async |db: &Db| db.from("notes").cache(hour).count().await.unwrap();
    let before = count(&read).await;
    blocking(|| world.standby().pause_replay());
    world
        .db
        .execute("insert into notes values (1000, 'kept')", ())
        .await
        .unwrap();
    let token = world.db.consistency().await.unwrap();
    assert_eq!(count(&read).await, before + 1);
    assert_eq!(count(&world.db.at_least(&token)).await, before + 1);
    world
        .db
        .execute("delete from notes where id = 1000", ())
        .await
        .unwrap();
    let token = world.db.consistency().await.unwrap();
    assert_eq!(count(&world.db.at_least(&token)).await, before);
    assert_eq!(count(&read).await, before);
    blocking(|| {
        world.standby().resume_replay();
        world.standby().catch_up(world.primary());
    });
}

async fn only_reads(world: &World) {
    let (db, read) = (&world.db, world.db.read());
    // On a connection of its own at first, on a lane later.
    for _ in 0..20 {
        assert!(world.is_on_standby(port(&read).await));
    }
    assert!(!world.is_on_standby(port(db).await));
    for sql in [
        "insert into notes values (1, 'a')",
        "update notes set text = 'b'",
        "create table other ()",
        "call nothing()",
    ] {
        let error = read.execute(sql, ()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{sql}: {error}");
    }
    let error = read.execute_script("select 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let copied = read.copy_in("copy notes from stdin").await.map(drop);
    let written = read.copy_into("notes", ["id"]).await.map(drop);
    let inserted = read.insert_many("notes", ["id"], [(1,)]).await.map(drop);
    for outcome in [copied, written, inserted] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(error.to_string().contains("Db::read"), "{error}");
    }
    let tenant = read.with_settings([("app.tenant", "one")]).unwrap();
    for db in [&read, &tenant] {
        let sql = "copy (select inet_server_port()) to stdout";
        let mut out = db.copy_out(sql).await.unwrap();
        let bytes = out.next().await.unwrap().expect("a row");
        let port = std::str::from_utf8(&bytes).unwrap().trim().parse().unwrap();
        assert!(world.is_on_standby(port));
        assert!(out.next().await.unwrap().is_none());
    }
    // What a standby refuses is done on the primary.
    let locked = "select inet_server_port() from (select 1) as one for update";
    for sql in [
        locked,
        "with made as (insert into notes values (2, 'c') returning id) \
         select inet_server_port() from made",
    ] {
        let port: i32 = read.query_value(sql, ()).await.unwrap();
        assert!(!world.is_on_standby(port), "{sql}");
    }
    let written: i32 = read.query_value("select id from hidden", ()).await.unwrap();
    assert_eq!(written, -1);
    db.execute("delete from notes", ()).await.unwrap();
    let (one, two) = ("select $1::int", (5,));
    let batch = aquifer::Batch::new().add(one, two).add(WHERE, ());
    assert_eq!(read.batch(batch).await.unwrap(), [1, 1]);
    support::assert_whole(db).await;
}

/// Whoever wants to know is told who has answered.
async fn answers(world: &World) {
    let (read, answers) = world.db.read().with_answers();
    assert_eq!(answers.last(), None);
    for _ in 0..3 {
        assert!(world.is_on_standby(port(&read).await));
        let answered = answers.last().unwrap();
        assert_eq!(answered.host, host(&world.db, world.standby()).host);
        assert_eq!(answered.role, Some(HostRole::Standby));
        assert!(!answered.is_degraded());
    }
    let locked = "select inet_server_port() from (select 1) as one for update";
    let _port: i32 = read.query_value(locked, ()).await.unwrap();
    assert_eq!(answers.last().unwrap().role, Some(HostRole::Primary));
    let snapshot = TransactionOptions::new().read_only();
    let tx = read.begin_with(snapshot).await.unwrap();
    assert_eq!(answers.last().unwrap().role, Some(HostRole::Standby));
    tx.rollback().await.unwrap();
}

/// A replica whose breaker is open is passed over; the primary, the last host there is, is not.
async fn sick_replicas(world: &World) {
    let db = connect_as(&world.cluster.url(), |config| {
        config.advanced(|advanced| advanced.lanes(0).attempts_max(1).breaker_calls_min(3))
    })
    .await;
    until_role(&db, world.standby(), HostRole::Standby).await;
    let read = db.read();
    let sick = "select sick()";
    let of = |server: &Postgres| {
        let name = host(&db, server).host;
        let mut breakers = db.breakers().into_iter();
        let is_it =
            |breaker: &BreakerStatus| breaker.host == name && breaker.lane == BreakerLane::Writes;
        breakers.find(is_it).expect("it has a pool")
    };
    let fail = async |db: &Db, server: &Postgres| {
        for _ in 0..50 {
            if of(server).state != BreakerState::Closed {
                return;
            }
            let error = db.query(sick, ()).await.unwrap_err();
            let code = error.sqlstate().map(|state| state.code());
            assert_eq!(code, Some("58030"), "{error}");
        }
        panic!("its breaker does not open: {:?}", of(server));
    };
    assert!(world.is_on_standby(port(&read).await));
    fail(&read, world.standby()).await;
    // It is tried every 300 ms, so that it is held open for a look.
    let (name, lane) = (host(&db, world.standby()).host, BreakerLane::Writes);
    db.set_breaker(&name, lane, BreakerOrder::ForceOpen)
        .unwrap();
    for _ in 0..5 {
        assert!(!world.is_on_standby(port(&read).await), "it is passed over");
    }
    db.set_breaker(&name, lane, BreakerOrder::Reset).unwrap();
    fail(&db, world.primary()).await;
    // It is the only one for writes, so its callers wait for it instead of being refused.
    for _ in 0..5 {
        assert!(!world.is_on_standby(port(&db).await));
        assert!(port(&read).await > 0);
    }
    for server in [world.standby(), world.primary()] {
        support::until("it is tried again", || {
            of(server).state == BreakerState::Closed
        })
        .await;
    }
    let back = tokio::time::timeout(Duration::from_secs(10), async {
        while !world.is_on_standby(port(&read).await) {}
    });
    back.await.expect("it takes reads again");
    support::assert_whole(&db).await;
    db.close().await.unwrap();
}

async fn transactions(world: &World) {
    let read = world.db.read();
    let error = read.begin().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    let options = TransactionOptions::new().read_only();
    let tx = read.begin_with(options).await.unwrap();
    let on: i32 = tx.query_value(WHERE, ()).await.unwrap();
    assert!(world.is_on_standby(on));
    tx.commit().await.unwrap();
    let strict = options.isolation(Isolation::Serializable);
    let tx = read.begin_with(strict).await.unwrap();
    let on: i32 = tx.query_value(WHERE, ()).await.unwrap();
    assert!(!world.is_on_standby(on));
    tx.commit().await.unwrap();
    // Within a transaction everything is part of it.
    world
        .db
        .with_transaction(async |tx| {
            tx.execute("insert into notes values (3, 'd')", ()).await?;
            let seen: i64 = read.query_value("select count(*) from notes", ()).await?;
            assert_eq!(seen, 1);
            tx.execute("delete from notes", ()).await?;
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
}

/// Reads with a token see what was written before it, whatever the replica does.
async fn own_writes(world: &World) {
    let db = &world.db;
    let mut on_standby = 0;
    for id in 0..200 {
        db.execute("insert into notes values ($1, 'e')", (id,))
            .await
            .unwrap();
        let token = db.consistency().await.unwrap();
        let token: Consistency = token.to_string().parse().unwrap();
        let sql = "select inet_server_port(), exists (select from notes where id = $1)";
        let late = db.at_least(&token);
        let (port, seen): (i32, bool) = late.query_one(sql, (id,)).await.unwrap();
        assert!(seen, "{id} on {port}");
        on_standby += usize::from(world.is_on_standby(port));
    }
    assert!(on_standby > 0, "none of them was read on the standby");
    blocking(|| world.standby().pause_replay());
    for id in 200..210 {
        db.execute("insert into notes values ($1, 'f')", (id,))
            .await
            .unwrap();
        let token = db.consistency().await.unwrap();
        let sql = "select inet_server_port(), exists (select from notes where id = $1)";
        let late = db.at_least(&token);
        let (port, seen): (i32, bool) = late.query_one(sql, (id,)).await.unwrap();
        assert!(seen && !world.is_on_standby(port), "{id} on {port}");
        // Without a token the standby answers, a little late.
        assert!(world.is_on_standby(self::port(&db.read()).await));
    }
    blocking(|| world.standby().resume_replay());
}

/// A read that is in the way of replay is given up by the standby, and made elsewhere.
async fn conflicts(world: &World) {
    let db = &world.db;
    blocking(|| world.standby().catch_up(world.primary()));
    blocking(|| {
        world
            .standby()
            .change("max_standby_streaming_delay", "10ms");
    });
    let slow = db.read();
    let slow = tokio::spawn(async move {
        // Once for each row, of which there is none where it is made again.
        let sql = "select inet_server_port() from notes where pg_sleep(600) is not null limit 1";
        slow.query_value::<i32>(sql, ()).await
    });
    // Not while it is only prepared: then it would find the table empty, and be in nobody's way.
    let asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    blocking(|| while world.standby().psql(asleep) == "0" {});
    db.execute_script("truncate notes").await.unwrap();
    let error_or_port = slow.await.unwrap();
    // The table is empty by now, where it is read again.
    let error = error_or_port.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let gave_up = "canceling statement due to conflict with recovery";
    support::until("the standby has given it up", || {
        world.standby().log().contains(gave_up)
    })
    .await;
    blocking(|| {
        world.standby().change("max_standby_streaming_delay", "30s");
    });
    support::assert_whole(db).await;
}

async fn drops(world: &World) {
    let db = &world.db;
    let read = db.read();
    abort_at_every_poll(db, || read.query_value::<i32>(WHERE, ())).await;
    abort_at_every_poll(db, || db.consistency()).await;
    blocking(|| world.standby().pause_replay());
    db.execute("insert into notes values (1, 'g')", ())
        .await
        .unwrap();
    let token = db.consistency().await.unwrap();
    let late = db.at_least(&token);
    abort_at_every_poll(db, || late.query_value::<i32>(WHERE, ())).await;
    blocking(|| world.standby().resume_replay());
}

/// A replica that falls behind leaves reads until it is back.
async fn lag(world: &World) {
    let db = &world.db;
    let mut events = db.events();
    blocking(|| world.standby().pause_replay());
    let filler =
        "insert into notes select n, repeat('x', 200) from generate_series(1000, 3000) as n";
    db.execute(filler, ()).await.unwrap();
    let bytes = event(&mut events, "the lag is told", |event| match event {
        Event::LagHigh { bytes, .. } => Some(*bytes),
        _ => None,
    });
    assert!(bytes.await > LAG_MAX.into());
    let seen = host(db, world.standby());
    assert!(!seen.takes_reads && seen.lag.unwrap().bytes > 0);
    assert!(!world.is_on_standby(port(&db.read()).await));
    blocking(|| world.standby().resume_replay());
    event(&mut events, "that it is over is told", |event| {
        matches!(event, Event::LagNormal { .. }).then_some(())
    })
    .await;
    assert!(world.is_on_standby(port(&db.read()).await));
}
