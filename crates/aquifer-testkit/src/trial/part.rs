use std::env;
use std::io::{self, BufRead, Write};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::layer::Cached;
use super::record::Record;
use super::tasks::Tasks;

const VARIABLE: &str = "AQUIFER_TRIAL_PART";

/// Orders that wait; there are never more than a few.
const ORDERS_MAX: usize = 16;

/// What one process of a trial is told when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Part {
    /// Which of the processes it is, from 0; one that takes the place of another has a number of its own.
    pub number: usize,
    /// By what it chooses.
    pub seed: u64,
    /// How long each reader rests after some tens of reads.
    pub pause: Duration,
    /// The URL of the database.
    pub database: String,
    /// The URL of Redis.
    pub redis: String,
}

impl Part {
    /// What this process is told; none if it is not part of a trial.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        Self::parse(&env::var(VARIABLE).ok()?)
    }

    /// Does what a process of a trial does, until it is told to end.
    ///
    /// # Cancel safety
    /// Its tasks go on.
    pub async fn work(self, cached: impl Cached) {
        let mut orders = orders();
        let output = Output::default();
        let mut tasks = Tasks::new(self, cached, output.clone());
        // The runner of the tests may have left its line open.
        output.line("");
        output.write(&Record::Ready);
        while let Some(order) = orders.recv().await {
            match order.split_once(' ') {
                Some(("herd", cell)) => {
                    let loads = tasks.herd(cell.parse().expect("a cell")).await;
                    output.write(&Record::Herd(loads));
                }
                Some(("end-when", place)) => tasks.end_when(place),
                _ if order == "rest" => tasks.rest(true),
                _ if order == "work" => tasks.rest(false),
                _ if order == "go" => tasks.start(),
                _ if order == "quiet" => {
                    tasks.quiet().await;
                    output.write(&Record::Quiet);
                }
                _ if order == "last" => {
                    tasks.last().await;
                    output.write(&Record::Quiet);
                }
                _ => panic!("an order: {order:?}"),
            }
        }
        tasks.end().await;
    }

    /// Its place among those that run at the same time, from 0.
    #[must_use]
    pub fn place(&self) -> usize {
        self.number % super::PROCESSES
    }

    pub(super) fn give_to(&self, command: &mut Command) {
        let text = format!(
            "{} {} {} {} {}",
            self.number,
            self.seed,
            self.pause.as_micros(),
            self.database,
            self.redis
        );
        command.env(VARIABLE, text);
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        Some(Self {
            number: words.next()?.parse().ok()?,
            seed: words.next()?.parse().ok()?,
            pause: Duration::from_micros(words.next()?.parse().ok()?),
            database: words.next()?.to_owned(),
            redis: words.next()?.to_owned(),
        })
    }
}

/// The lines of the standard input; they end when whoever started this process has ended.
fn orders() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(ORDERS_MAX);
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The standard output, which is written in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Output(Arc<Mutex<String>>);

/// So much is kept back, until somebody flushes.
const KEPT_MAX: usize = 16 << 10;

impl Output {
    /// At once for what somebody waits for.
    pub(super) fn write(&self, record: &Record) {
        self.line(&record.to_string());
        if !matches!(record, Record::Read(_)) {
            self.flush();
        }
    }

    fn line(&self, line: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_str(line);
        kept.push('\n');
        if kept.len() > KEPT_MAX {
            drain(&mut kept);
        }
    }

    pub(super) fn flush(&self) {
        drain(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn drain(kept: &mut String) {
    let mut output = io::stdout().lock();
    // Nobody reads it any more: this process is about to end.
    let _gone = output.write_all(kept.as_bytes());
    let _gone = output.flush();
    kept.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_handed_on_as_it_is() {
        let part = Part {
            number: 3,
            seed: 9,
            pause: Duration::from_millis(1),
            database: "postgresql://a".to_owned(),
            redis: "redis://b".to_owned(),
        };
        let mut command = Command::new("none");
        part.give_to(&mut command);
        let (_, text) = command.get_envs().next().expect("a variable");
        let text = text.and_then(|text| text.to_str()).expect("a text");
        assert_eq!(Part::parse(text), Some(part));
    }
}
