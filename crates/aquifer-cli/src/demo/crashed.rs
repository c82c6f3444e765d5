//! A backend that dies by SIGKILL, upon which PostgreSQL ends all others and recovers.

use std::process::Command;

use aquifer::Session;

use super::figures;
use super::patience;
use super::readers::Readers;
use super::scene::Scene;
use super::server::Server;
use super::stage::{Chapter, Failure, Step};

const READS: usize = 500;
/// What PostgreSQL says when it begins to recover.
const RECOVERY: &str = "automatic recovery in progress";

pub(super) fn chapter() -> Chapter {
    Chapter {
        title: "kill -9 of a backend",
        why: "PostgreSQL then ends all sessions, refuses new ones and recovers from its log. The \
              layer waits for it in the callers' place, within the limits of each call.",
        code: vec!["$ kill -9 $(select pid from pg_stat_activity where … limit 1)"],
    }
}

pub(super) async fn perform(
    step: &mut Step,
    scene: &Scene,
    server: &Server,
) -> Result<(), Failure> {
    let before = scene.money().await?;
    let lost = scene.tally.lost();
    let readers = Readers::start(&scene.db);
    readers.proceed(READS).await?;
    let pid: i32 = scene
        .witness
        .query_value(
            "select min(pid) from pg_stat_activity where application_name = $1",
            (scene.application_name.as_str(),),
        )
        .await?;
    kill(pid).await?;
    let recovered = patience::until("PostgreSQL has recovered", async || {
        Ok(server.log().contains(RECOVERY))
    });
    recovered.await?;
    readers.proceed(READS).await?;
    let reads = readers.finish().await?;
    step.note(&format!(
        "backend {pid} was killed; {} of ours ended with it",
        figures::plural(scene.tally.lost() - lost, "session")
    ));
    let log = server.log();
    let recovery = log.lines().find(|line| line.contains(RECOVERY));
    step.check(
        recovery.is_some(),
        &format!("the server's log: {}", said(recovery.unwrap_or_default())),
    );
    reads.report(step);
    let after = scene.money().await?;
    step.check(
        before == after,
        &format!(
            "the sum of all balances: {} before, {} after",
            figures::count(before),
            figures::count(after)
        ),
    );
    Ok(())
}

/// A line of the log without its time and process.
fn said(line: &str) -> &str {
    line.split_once("LOG:")
        .map_or(line, |(_, text)| text.trim())
}

async fn kill(pid: i32) -> Result<(), Failure> {
    let status = tokio::task::spawn_blocking(move || {
        Command::new("kill").args(["-9", &pid.to_string()]).status()
    });
    let status = status.await??;
    if status.success() {
        Ok(())
    } else {
        Err(format!("kill -9 {pid} ended with {status}").into())
    }
}
