//! Every kind of write makes what it concerns a miss.

use std::time::Duration;

use aquifer::{Batch, Db, Entity, Session, values};
use aquifer_testkit::Redis as Server;

use super::super::support::PATIENCE;
use super::queries::{Place, User, end, names};

const RENAME: &str = "update users set name = $1 where id = 4";

/// Writes of which each changes what the users are called.
async fn statements(db: &Db, kind: usize, new: &str) -> bool {
    let users = || db.from("users").where_("id", "=", 1);
    let columns = ["id", "name", "active"];
    match kind {
        0 => assert_eq!(db.execute(RENAME, (new,)).await.unwrap(), 1),
        1 => assert_eq!(users().update(values! { name: new }).await.unwrap(), 1),
        2 => {
            let update = User::update().set(User::NAME, new).filter(User::ID.eq(1));
            assert_eq!(update.execute(db).await.unwrap(), 1);
        }
        3 => {
            let rows = [(100_i64, new.to_owned(), true)];
            assert_eq!(db.insert_many("users", columns, rows).await.unwrap(), 1);
        }
        4 => {
            let mut copy = db.copy_into("users", columns).await.unwrap();
            copy.write((101_i64, new, true)).await.unwrap();
            assert_eq!(copy.finish().await.unwrap(), 1);
        }
        5 => {
            let mut copy = db.copy_in("copy users from stdin").await.unwrap();
            let line = format!("102\t{new}\tt\n");
            copy.send(line.as_bytes()).await.unwrap();
            assert_eq!(copy.finish().await.unwrap(), 1);
        }
        6 => {
            let batch = Batch::new().add("update other set id = id", ());
            db.batch(batch.add(RENAME, (new,))).await.unwrap();
        }
        7 => {
            let script = "update users set name = 'by a script' where id = 3";
            db.execute_script(script).await.unwrap();
        }
        _ => return false,
    }
    true
}

/// The same in what commits later.
async fn transactions(db: &Db, kind: usize, new: &str) -> bool {
    match kind {
        8 => {
            let tx = db.begin().await.unwrap();
            tx.execute(RENAME, (new,)).await.unwrap();
            tx.commit().await.unwrap();
        }
        9 => {
            let tx = db.begin().await.unwrap();
            let inner = tx.begin().await.unwrap();
            inner
                .from("users")
                .where_("id", "=", 2)
                .delete()
                .await
                .unwrap();
            inner.commit().await.unwrap();
            tx.commit().await.unwrap();
        }
        10 => {
            let session = db.dedicated().await.unwrap();
            session.execute_script("begin").await.unwrap();
            session.execute(RENAME, (new,)).await.unwrap();
            session.execute_script("commit").await.unwrap();
        }
        11 => {
            let once = db.idempotent("once");
            once.execute(RENAME, (new,)).await.unwrap();
        }
        12 => {
            let rows: Vec<_> = (1_000..20_000_i64)
                .map(|id| (id, new.to_owned(), true))
                .collect();
            let columns = ["id", "name", "active"];
            db.insert_many("users", columns, rows).await.unwrap();
        }
        13 => {
            let sql = "delete from users where id >= 1000 returning id";
            let mut rows = db.stream_as::<(i64,)>(sql, ()).await.unwrap();
            while rows.next().await.unwrap().is_some() {}
        }
        14 => {
            let hook = db.clone();
            let tx = db.begin().await.unwrap();
            tx.execute(RENAME, (new,)).await.unwrap();
            let expected = new.to_owned();
            // A hook sees what was committed, too.
            tx.on_commit(async move { assert!(names(&hook).await.contains(&expected)) })
                .unwrap();
            tx.commit().await.unwrap();
        }
        _ => return false,
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_write_is_seen_at_once_here_and_soon_there() {
    let server = Server::start();
    let place = Place::with(Some(&server)).await;
    let (one, two) = (place.process().await, place.process().await);
    for kind in 0.. {
        let before = names(&one).await;
        assert_eq!(names(&two).await, before);
        let new = format!("kind {kind}");
        if !statements(&one, kind, &new).await && !transactions(&one, kind, &new).await {
            assert_eq!(kind, 15);
            break;
        }
        let after = names(&one).await;
        assert_ne!(after, before, "{kind}");
        let seen = tokio::time::timeout(PATIENCE, async {
            while names(&two).await != after {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(seen.await.is_ok(), "{kind}");
    }
    for db in [one, two] {
        end(&db).await;
    }
}
