use std::time::Duration;

/// What a run of migrations is at, for who watches it; see
/// [`Migrator::on_progress`](super::Migrator::on_progress).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationProgress {
    /// Another runner has the lock; this one waits for it. Told once per wait.
    Waiting,
    /// A file is begun, perhaps again after its connection was lost.
    Begun {
        /// The migration's number.
        version: i64,
        /// The file that is run.
        file: String,
        /// How many statements it has.
        statements: usize,
    },
    /// A statement is about to be sent.
    Statement {
        /// The migration's number.
        version: i64,
        /// The line of the file that it begins in.
        line: u32,
    },
    /// A file took effect.
    Done(Applied),
}

/// A migration that a run has applied or reverted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// Its number.
    pub version: i64,
    /// Its description, from the name of its file.
    pub description: String,
    /// Whether it was reverted.
    pub reverted: bool,
    /// How long its statements took.
    pub elapsed: Duration,
}
