//! What is measured: the work, the way to the server, the numbers of tasks, and for how long.

use std::time::Duration;

use crate::peers::{EXCLUSIVE, UNNEST};
use crate::rounds::Plan;
use crate::workloads::{Workload, storm};
use crate::{Durability, Entry};

/// How the contenders reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By its unix socket.
    Unix,
    /// Over TCP on loopback.
    Tcp,
    /// Over TCP on loopback, with a round trip that is so many microseconds longer.
    Delayed(u64),
}

/// One table of the report.
#[derive(Clone, Debug)]
pub struct Section {
    /// What the JSON and the files of the plots call it.
    pub key: &'static str,
    /// What the report calls it.
    pub title: &'static str,
    /// The work.
    pub workload: Workload,
    /// The way to the server.
    pub way: Way,
    /// Whether COMMIT waits for the disk.
    pub durability: Durability,
    /// How many tasks work at once.
    pub tasks: Vec<usize>,
    /// How many rounds.
    pub rounds: usize,
    /// How long each contender runs in a round.
    pub milliseconds: u64,
}

impl Section {
    /// The contender that the others are compared with.
    #[must_use]
    pub fn reference(&self) -> &'static str {
        match self.workload {
            Workload::Bulk => UNNEST,
            _ => EXCLUSIVE,
        }
    }

    /// Whether a table of times says more than one of rates.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        matches!(self.workload, Workload::Bulk | Workload::Storm)
    }

    /// Those of the contenders that take part.
    #[must_use]
    pub fn entries(&self, all: &[Entry]) -> Vec<Entry> {
        let offers = |entry: &&Entry| entry.offers.contains(&self.workload);
        all.iter().filter(offers).copied().collect()
    }

    /// For how long to measure.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds,
            time: Duration::from_millis(self.milliseconds),
            pause: Duration::ZERO,
        }
    }
}

/// Every section. The quick run has fewer numbers of tasks and shorter rounds, and all that
/// [`figures`](crate::figures) needs.
#[must_use]
pub fn all(quick: bool) -> Vec<Section> {
    let sections = [selects(), writes(), others()].concat();
    if quick {
        sections.into_iter().map(shortened).collect()
    } else {
        sections
    }
}

fn selects() -> Vec<Section> {
    let select = Section {
        key: "select",
        title: "One row by its key, unix socket",
        workload: Workload::Select,
        way: Way::Unix,
        durability: Durability::Off,
        tasks: vec![1, 16, 64, 256],
        rounds: 9,
        milliseconds: 250,
    };
    vec![
        select.clone(),
        Section {
            key: "select_tcp",
            title: "One row by its key, TCP on loopback",
            way: Way::Tcp,
            ..select.clone()
        },
        Section {
            key: "select_500us",
            title: "One row by its key, TCP, round trip 0.5 ms longer",
            way: Way::Delayed(500),
            ..select.clone()
        },
        Section {
            key: "select_2ms",
            title: "One row by its key, TCP, round trip 2 ms longer",
            way: Way::Delayed(2_000),
            ..select.clone()
        },
        Section {
            key: "decode",
            title: "1,000 rows into structs",
            workload: Workload::Decode,
            ..select.clone()
        },
        Section {
            key: "slow",
            title: "One row by its key, while 1 % of the calls take 50 to 100 ms (the others counted)",
            workload: Workload::Slow,
            tasks: vec![16, 64, 256],
            milliseconds: 500,
            ..select
        },
    ]
}

fn writes() -> Vec<Section> {
    let insert = Section {
        key: "insert",
        title: "Insert of one row, fsync off",
        workload: Workload::Insert,
        way: Way::Unix,
        durability: Durability::Off,
        tasks: vec![1, 16, 64, 256],
        rounds: 9,
        milliseconds: 250,
    };
    let durable = Section {
        key: "insert_durable",
        title: "Insert of one row, fsync on",
        durability: Durability::On,
        ..insert.clone()
    };
    vec![
        insert.clone(),
        durable.clone(),
        Section {
            key: "update",
            title: "Update of one row, fsync off",
            workload: Workload::Update,
            ..insert.clone()
        },
        Section {
            key: "update_durable",
            title: "Update of one row, fsync on",
            workload: Workload::Update,
            ..durable.clone()
        },
        Section {
            key: "transaction",
            title: "Update and insert in one transaction, fsync off",
            workload: Workload::Transaction,
            ..insert.clone()
        },
        Section {
            key: "transaction_durable",
            title: "Update and insert in one transaction, fsync on",
            workload: Workload::Transaction,
            ..durable
        },
        Section {
            key: "transaction_500us",
            title: "Update and insert in one transaction, fsync off, TCP, round trip 0.5 ms longer",
            workload: Workload::Transaction,
            way: Way::Delayed(500),
            ..insert
        },
    ]
}

fn others() -> Vec<Section> {
    let bulk = Section {
        key: "bulk",
        title: "10,000 rows inserted, fsync off",
        workload: Workload::Bulk,
        way: Way::Unix,
        durability: Durability::Off,
        tasks: vec![1],
        rounds: 11,
        milliseconds: 250,
    };
    vec![
        bulk.clone(),
        Section {
            key: "acquire",
            title: "A connection taken and given back",
            workload: Workload::Acquire,
            tasks: vec![1, 64, 256],
            milliseconds: 100,
            ..bulk.clone()
        },
        Section {
            key: "storm",
            title: "A cold pool and 256 callers at once",
            workload: Workload::Storm,
            tasks: vec![storm::CALLERS],
            rounds: 7,
            ..bulk
        },
    ]
}

fn shortened(section: Section) -> Section {
    let tasks = match section.key {
        "select" => vec![1, 64, 256],
        "decode" => vec![16],
        "bulk" => vec![1],
        "storm" => vec![storm::CALLERS],
        _ => vec![64],
    };
    let (rounds, milliseconds) = match section.key {
        "storm" => (3, section.milliseconds),
        // A percentile needs many calls.
        "slow" => (7, 400),
        _ => (7, section.milliseconds * 2 / 3),
    };
    Section {
        tasks,
        rounds,
        milliseconds,
        ..section
    }
}
