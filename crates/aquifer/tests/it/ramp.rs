//! How many connections are opened at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aquifer::{Config, Db, Secret};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support;

/// A pool whose logins wait until they are let in, or fail while they are refused.
struct Door {
    gate: Arc<Semaphore>,
    refuses: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
}

impl Door {
    async fn open(connections: u32) -> (Self, Db) {
        let door = Self {
            // The first one of the pool.
            gate: Arc::new(Semaphore::new(1)),
            refuses: Arc::default(),
            refused: Arc::default(),
        };
        let (gate, refuses) = (Arc::clone(&door.gate), Arc::clone(&door.refuses));
        let refused = Arc::clone(&door.refused);
        let config = Config::from_url(support::url())
            .unwrap()
            .connections_max(connections)
            .advanced(|advanced| advanced.lanes(0))
            .password_provider(move || {
                let (gate, refuses) = (Arc::clone(&gate), Arc::clone(&refuses));
                let refused = Arc::clone(&refused);
                async move {
                    gate.acquire().await?.forget();
                    if refuses.load(Ordering::Relaxed) {
                        refused.fetch_add(1, Ordering::Relaxed);
                        return Err("nobody is let in".into());
                    }
                    Ok(Secret::from("ignored"))
                }
            });
        (door, Db::connect_with(&config).await.unwrap())
    }

    /// Waits until so many ask to be let in, and lets them.
    async fn let_in(&self, db: &Db, connections: usize) {
        support::until("so many are being opened", || {
            db.pool_status().connecting >= connections
        })
        .await;
        self.gate.add_permits(connections);
    }
}

#[tokio::test]
async fn openings_grow_with_their_success_while_callers_wait_and_shrink_with_a_failure() {
    let (door, db) = Door::open(40).await;
    let mut callers = JoinSet::new();
    for _ in 0..40 {
        let db = db.clone();
        callers.spawn(async move { db.begin().await });
    }
    for connections in [1, 2, 4, 8] {
        door.let_in(&db, connections).await;
    }
    support::until("as many as may be", || {
        let status = db.pool_status();
        (status.in_use, status.connecting) == (16, 8)
    })
    .await;
    // All eight fail, and the next is tried alone.
    door.refuses.store(true, Ordering::Relaxed);
    door.gate.add_permits(8);
    support::until("another one is tried", || {
        door.refused.load(Ordering::Relaxed) == 8 && db.pool_status().connecting == 1
    })
    .await;
    door.refuses.store(false, Ordering::Relaxed);
    // With half as many as had failed, and then one more each time.
    for connections in [1, 2, 4, 5, 6, 6] {
        door.let_in(&db, connections).await;
    }
    let held = callers.join_all().await;
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(db.pool_status().in_use, 40);
    drop(held);
    support::assert_whole(&db).await;
}
