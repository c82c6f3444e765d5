//! A cold pool and many callers at once: the pool is opened anew in each turn.

use std::time::{Duration, Instant};

use crate::rounds::Outcome;
use crate::{Entry, Error, Place, Server, Workload};

/// Callers at once.
pub const CALLERS: usize = 256;

/// How long sessions get to end when their pool was dropped.
const END: Duration = Duration::from_secs(10);

/// Opens each contender in each round, lets all callers ask for a row each, and takes the time until
/// the last has its own.
///
/// # Errors
/// The first query that fails, and sessions that stay when their pool is dropped.
pub async fn measure(
    entries: &[Entry],
    place: &Place,
    rounds: usize,
    server: &Server,
) -> Result<Vec<Outcome>, Error> {
    let mut outcomes: Vec<_> = entries.iter().map(|entry| none(entry.name)).collect();
    for round in 0..rounds {
        for position in 0..entries.len() {
            let index = (position + round) % entries.len();
            let application = format!("bench-{index}");
            let start = Instant::now();
            let race = (entries[index].open)(place.of(application.clone())).await?;
            race.run_count(Workload::Select, CALLERS, CALLERS).await?;
            let elapsed = start.elapsed().as_secs_f64();
            let outcome = &mut outcomes[index];
            outcome.rates.push(1.0 / elapsed);
            let sessions = server.sessions(&application).await?;
            outcome.connections = outcome.connections.max(sessions);
            drop(race);
            wait_until_gone(server, &application).await?;
        }
    }
    Ok(outcomes)
}

async fn wait_until_gone(server: &Server, application: &str) -> Result<(), Error> {
    let deadline = Instant::now() + END;
    while server.sessions(application).await? > 0 {
        if Instant::now() > deadline {
            return Err(
                format!("sessions stay after their pool was dropped: {application}").into(),
            );
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn none(name: &'static str) -> Outcome {
    Outcome {
        name,
        tasks: CALLERS,
        rates: Vec::new(),
        p50: f64::NAN,
        p99: f64::NAN,
        p999: f64::NAN,
        p99s: Vec::new(),
        client: f64::NAN,
        server: f64::NAN,
        connections: 0,
    }
}
