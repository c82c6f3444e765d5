//! Interleavings of a fill, a write and the link on one board; with `--cfg shuttle` many thousands of
//! them, else a few real ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
#[cfg(not(shuttle))]
use std::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(not(shuttle))]
use std::thread;

#[cfg(shuttle)]
use shuttle::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(shuttle)]
use shuttle::thread;

use super::*;

/// One row, its stamp in Redis as a number of versions, and one process.
struct System {
    row: AtomicU64,
    version: AtomicU64,
    board: Board,
    /// Whether the writer was told that the new row is there.
    told: AtomicBool,
}

impl System {
    fn linked() -> Arc<Self> {
        let board = Board::new();
        board.link_made();
        Arc::new(Self {
            row: AtomicU64::new(0),
            version: AtomicU64::new(0),
            board,
            told: AtomicBool::new(false),
        })
    }

    fn stamp(&self) -> Stamp {
        let version = self.version.load(Ordering::SeqCst);
        (0..version).fold(Stamp::first(1), |stamp, _| stamp.next(0))
    }

    /// Reads the row under a ticket, and uses it as long as it is good.
    fn fill_and_use(&self) {
        let noted = self.board.note([TAG]);
        let ticket = noted.with(&[self.stamp()]).expect("one stamp");
        let row = self.row.load(Ordering::SeqCst);
        let proof = ticket.proof();
        for _ in 0..3 {
            let told = self.told.load(Ordering::SeqCst);
            if proof.holds(&self.board) {
                assert!(
                    row == 1 || !told,
                    "the old row is used after the writer was told"
                );
            }
        }
    }

    /// Commits and raises the stamp; whether that is announced is another thing.
    fn write(&self) {
        self.row.store(1, Ordering::SeqCst);
        self.version.store(1, Ordering::SeqCst);
    }
}

/// Runs `scenario` in many interleavings.
fn explore(scenario: fn()) {
    #[cfg(shuttle)]
    {
        shuttle::check_random(scenario, 5_000);
        shuttle::check_pct(scenario, 5_000, 3);
    }
    #[cfg(not(shuttle))]
    for _ in 0..200 {
        scenario();
    }
}

/// Two fills, and `change` of another thread.
fn beside_fills(change: fn(&System)) {
    let system = System::linked();
    let fills = [(); 2].map(|()| {
        let system = Arc::clone(&system);
        thread::spawn(move || system.fill_and_use())
    });
    change(&system);
    for fill in fills {
        fill.join().expect("nothing old was used");
    }
    // What is read from here on is good.
    let noted = system.board.note([TAG]);
    let proof = noted.with(&[system.stamp()]).expect("one stamp").proof();
    assert!(proof.holds(&system.board));
}

#[test]
fn a_fill_beside_a_write_is_not_used_after_the_writer_was_told() {
    explore(|| {
        beside_fills(|system| {
            system.write();
            system.board.changed(TAG);
            system.told.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn a_fill_beside_a_write_that_nobody_announced_is_not_used_after_the_link_is_back() {
    explore(|| {
        beside_fills(|system| {
            system.board.link_lost();
            system.write();
            system.told.store(true, Ordering::SeqCst);
            system.board.link_made();
        });
    });
}

#[test]
fn a_fill_beside_a_flush_is_not_used_after_it() {
    explore(|| {
        beside_fills(|system| {
            system.write();
            system.board.all_changed();
            system.told.store(true, Ordering::SeqCst);
        });
    });
}
