//! What is still possible, of a single host too.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use aquifer::{Db, Error, ErrorKind, Event, Events, HostRole, Mode, Retry, Session};
use aquifer_testkit::{Cluster, Login, Postgres};

use super::{blocking, connect, event, host, until_role};
use crate::support;

/// A small disk of memory; gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where this user may mount nothing.
    fn mount(server: &Postgres) -> Option<Self> {
        let process = format!("/proc/{}", server.pid()?);
        let owner = std::fs::metadata(process).ok()?.uid();
        let path = std::env::temp_dir().join(format!("aquifer-disk-{}", server.port()));
        std::fs::create_dir(&path).ok()?;
        let disk = Self(path);
        let options = format!("size=4m,mode=700,uid={owner}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]);
        let mounted = mount.arg(&disk.0).output().ok()?.status.success();
        mounted.then_some(disk)
    }

    /// Makes it larger.
    fn grow(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,size=16m"]).arg(&self.0);
        assert!(mount.output().unwrap().status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
        drop(std::fs::remove_dir(&self.0));
    }
}

/// A table that runs out of room. Where nothing can be mounted, a trigger says what the server would.
async fn small_table(server: &Postgres, db: &Db, disk: Option<&Disk>) {
    if let Some(disk) = disk {
        let path = disk.0.display();
        blocking(|| server.psql(&format!("create tablespace small location '{path}'")));
        let tables = "create table notes (text text) tablespace small; \
                      alter table notes alter text set storage plain";
        db.execute_script(tables).await.unwrap();
        return;
    }
    let tables = "create table notes (text text); create table full_disk (); \
                  create function refuse() returns trigger language plpgsql as $$ begin \
                  if to_regclass('full_disk') is not null then \
                  raise 'no space left on device' using errcode = '53100'; end if; \
                  return new; end $$; \
                  create trigger refuse before insert on notes \
                  for each row execute function refuse()";
    db.execute_script(tables).await.unwrap();
}

async fn next_mode(events: &mut Events) -> Mode {
    event(events, "the mode is told", |event| match event {
        Event::ModeChange { to, .. } => Some(*to),
        _ => None,
    })
    .await
}

const FILL: &str = "insert into notes select repeat('x', 1000) from generate_series(1, 1000)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_ends_writes_and_room_brings_them_back() {
    let server = blocking(Postgres::start);
    let disk = blocking(|| Disk::mount(&server));
    let db = connect(server.url()).await;
    small_table(&server, &db, disk.as_ref()).await;
    let mut events = db.events();
    let full = |error: &Error| {
        error
            .sqlstate()
            .is_some_and(|state| state.code() == "53100")
    };
    let mut refused = 0;
    while db.mode() == Mode::Normal {
        if let Err(error) = db.execute(FILL, ()).await {
            assert!(full(&error), "{error}");
            refused += 1;
        }
    }
    // Three, if they are no further apart than ten seconds.
    assert!(refused >= 3, "{refused}");
    assert_eq!(next_mode(&mut events).await, Mode::ReadOnly);
    // Now and then one is let through, and finds the disk full.
    let error = loop {
        let error = db.execute(FILL, ()).await.unwrap_err();
        if !full(&error) {
            break error;
        }
    };
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::ReadOnly, Retry::Safe),
        "{error}"
    );
    let rows: i64 = db
        .query_value("select count(*) from notes", ())
        .await
        .unwrap();
    assert!(rows >= 0, "reads go on");
    blocking(|| match &disk {
        Some(disk) => disk.grow(),
        None => drop(server.psql("drop table full_disk")),
    });
    let one = "insert into notes values ('a')";
    let back = tokio::time::timeout(support::PATIENCE, async {
        while db.mode() != Mode::Normal {
            if let Err(error) = db.execute(one, ()).await {
                assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    back.await.unwrap();
    db.execute(one, ()).await.unwrap();
    support::assert_whole(&db).await;
    db.close().await.unwrap();
    blocking(|| drop(server));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_host_that_goes_and_comes_is_told() {
    let server = blocking(Postgres::start);
    let db = connect(server.url()).await;
    assert_eq!(db.mode(), Mode::Normal);
    assert_eq!(db.hosts().len(), 1);
    let mut events = db.events();
    blocking(|| server.shut_down(aquifer_testkit::Shutdown::Immediate));
    let read = {
        let db = db.clone();
        tokio::spawn(async move { db.query_value::<i32>("select 1", ()).await })
    };
    assert_eq!(next_mode(&mut events).await, Mode::Down);
    assert_eq!(db.mode(), Mode::Down);
    blocking(|| server.start_again());
    assert_eq!(next_mode(&mut events).await, Mode::Normal);
    drop(read.await.unwrap());
    support::assert_whole(&db).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_refuses_a_new_password_keeps_the_sessions_that_it_has() {
    let cluster = blocking(|| Cluster::start(1));
    let primary = cluster.primary();
    let db = connect(&cluster.login_url(Login::Scram)).await;
    until_role(&db, primary, HostRole::Primary).await;
    let own: i64 = db.query_value("select $1::bigint", (1_i64,)).await.unwrap();
    assert_eq!(own, 1);
    let held = db.begin().await.unwrap();
    held.execute("select 1", ()).await.unwrap();
    blocking(|| {
        primary.psql("alter role scram_user password 'nobody knows it'");
        // The session that asks how the host does has to log in again; the pool's live on.
        primary.psql(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where usename = 'scram_user' and query like '%pg_is_in_recovery%'",
        );
    });
    let refusals = || {
        primary
            .log()
            .matches("password authentication failed")
            .count()
    };
    crate::support::until("it was refused again and again", || refusals() >= 4).await;
    assert_eq!(host(&db, primary).role, Some(HostRole::Primary));
    held.execute("select 1", ())
        .await
        .expect("the session lives");
    held.commit().await.expect("on the primary");
    for tag in 0..20_i64 {
        let write = db.exclusive();
        let own: i64 = write
            .query_value("select $1::bigint", (tag,))
            .await
            .unwrap();
        assert_eq!(own, tag, "a foreign reply");
    }
    assert_eq!(db.mode(), Mode::Normal);
}
