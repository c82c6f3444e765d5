//! Whether the pool is as whole as before.

use std::time::Instant;

use aquifer::Db;

use crate::demo::figures;
use crate::demo::patience;
use crate::demo::stage::{Failure, Step};

pub(super) async fn check(step: &mut Step, db: &Db) -> Result<(), Failure> {
    quiet(step, db).await?;
    permits(step, db).await?;
    idle(db).await
}

/// Clean-up goes on in the background for a moment; then everything must be free.
async fn quiet(step: &mut Step, db: &Db) -> Result<(), Failure> {
    let begun = Instant::now();
    idle(db).await?;
    let tasks = patience::until(
        "a task for each connection, another for each lane, one that opens them, one that keeps \
         them in order, one that watches, one that collects metrics",
        async || {
            let status = db.pool_status();
            Ok(db.tasks_running() == 2 * status.lanes + status.idle + status.connecting + 4)
        },
    );
    tasks.await?;
    let status = db.pool_status();
    step.check(
        status.in_use == 0,
        &format!(
            "{} later: {} in use, {} waiting, {} on the lanes; no task is left over",
            figures::time(begun.elapsed()),
            status.in_use,
            status.waiting,
            status.lane_requests
        ),
    );
    Ok(())
}

async fn idle(db: &Db) -> Result<(), Failure> {
    let idle = patience::until("all connections free", async || {
        let status = db.pool_status();
        Ok(status.in_use == 0 && status.waiting == 0 && status.lane_requests == 0)
    });
    idle.await.map(drop)
}

/// Takes all exclusive connections at once: a permit that was lost would be missing here.
async fn permits(step: &mut Step, db: &Db) -> Result<(), Failure> {
    let lanes = patience::until("all lanes open", async || {
        let status = db.pool_status();
        Ok(status.lanes == status.lanes_max)
    });
    lanes.await?;
    let status = db.pool_status();
    let mut open = Vec::new();
    while open.len() < status.connections_max - status.lanes_max {
        open.push(db.begin().await?);
    }
    step.check(
        db.pool_status().in_use == open.len(),
        &format!(
            "permits: {} of {} are there: {} exclusive connections taken at once, {} shared ones \
             with nothing under way",
            open.len() + status.lanes,
            status.connections_max,
            open.len(),
            status.lanes
        ),
    );
    Ok(())
}
