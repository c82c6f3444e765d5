use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::count::IntoCount;
use crate::observe::{Collector, Observer, QueryFinished};

/// Remembers the statements of a `Db`, to be counted; made part of it by
/// [`Config::observer`](crate::Config::observer).
///
/// Cheap to clone; all clones are one. Of statements it knows the text and the place of the call,
/// never a value.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Log>);

#[derive(Default)]
struct Log {
    statements: Mutex<Vec<Recorded>>,
    collector: Option<Collector>,
}

/// From so many calls by one place on, a failed count says that a query may run once per row.
const SUSPECT: usize = 2;

/// What helps against a query for each row of another.
const REMEDY: &str = "fetch what all of them need at once: by a join, `= any($1)`, or `Db::lookup`";

/// One call that ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The statement's text, of a batch all texts.
    pub sql: String,
    /// Where the call stands in the source.
    pub location: &'static Location<'static>,
    /// Rows that were returned or changed.
    pub rows: u64,
    /// Whether it was a part of a transaction.
    pub in_transaction: bool,
    /// Whether it failed.
    pub failed: bool,
}

/// A statement that one place of the source has sent several times: often a query for each row of
/// another (N+1), which a join, `= any($1)` or [`Db::lookup`](crate::Db::lookup) does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repeated {
    /// The statement's text.
    pub sql: String,
    /// Where the call stands in the source.
    pub location: &'static Location<'static>,
    /// How often it was sent.
    pub count: usize,
}

impl Recorder {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that besides adds each distinct statement to a file, for `aquifer check`: as the variable
    /// `AQUIFER_COLLECT` does for all handles of a process, see [`testing`](crate::testing).
    ///
    /// # Errors
    /// Where the file or its directories can't be made or written.
    pub fn collect_into(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self(Arc::new(Log {
            statements: Mutex::default(),
            collector: Some(Collector::open(path.as_ref())?),
        })))
    }

    /// What [`Config::observer`](crate::Config::observer) takes.
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.0) as _
    }

    /// Forgets what it has seen so far, such as the test's preparations.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// The calls so far, in the order in which they ended.
    #[must_use]
    pub fn statements(&self) -> Vec<Recorded> {
        self.0.lock().clone()
    }

    /// What one place has sent more than `times` times, the most frequent first.
    #[must_use]
    pub fn repeated(&self, times: usize) -> Vec<Repeated> {
        repeated(&self.statements(), times)
    }

    /// Asserts that so many calls were made since the beginning or the last
    /// [`clear`](Self::clear): a number, or a range as in `..=3`.
    ///
    /// # Panics
    /// When it were more or less; the text lists them with their places.
    #[track_caller]
    pub fn assert_queries(&self, expected: impl IntoCount) {
        self.assert_queries_since(0, expected);
    }

    /// How many calls there were so far; for [`assert_queries!`](crate::assert_queries).
    #[doc(hidden)]
    #[must_use]
    pub fn mark(&self) -> usize {
        self.0.lock().len()
    }

    /// As [`assert_queries`](Self::assert_queries), of those behind a mark.
    #[doc(hidden)]
    #[track_caller]
    pub fn assert_queries_since(&self, mark: usize, expected: impl IntoCount) {
        let expected = expected.into_count();
        let all = self.statements();
        // Somebody may have cleared it meanwhile.
        let statements = all.get(mark..).unwrap_or_default();
        let hint = Hint(&repeated(statements, SUSPECT - 1));
        assert!(
            expected.fits(statements.len()),
            "expected {expected}, saw {}:{}{hint}",
            statements.len(),
            Lines(statements.iter().map(|one| (one.location, &one.sql)))
        );
    }

    /// Asserts that no place has sent the same statement more than `times` times.
    ///
    /// # Panics
    /// When one has; the text names place, statement and count.
    #[track_caller]
    pub fn assert_no_repeats(&self, times: usize) {
        let repeated = self.repeated(times);
        let text = |one: &Repeated| {
            let Repeated { sql, count, .. } = one;
            (one.location, format!("{count} times {sql}"))
        };
        assert!(
            repeated.is_empty(),
            "sent more than {times} times by one place:{}\n{REMEDY}",
            Lines(repeated.iter().map(text))
        );
    }
}

/// What one place has sent more than `times` times, the most frequent first.
fn repeated(statements: &[Recorded], times: usize) -> Vec<Repeated> {
    let mut counts: BTreeMap<_, (usize, _)> = BTreeMap::new();
    for one in statements {
        let place = (
            one.location.file(),
            one.location.line(),
            one.location.column(),
        );
        let (count, _) = counts
            .entry((place, one.sql.as_str()))
            .or_insert((0, one.location));
        *count += 1;
    }
    let mut repeated: Vec<_> = counts
        .into_iter()
        .filter(|(_, (count, _))| *count > times)
        .map(|((_, sql), (count, location))| Repeated {
            sql: sql.to_owned(),
            location,
            count,
        })
        .collect();
    repeated.sort_by_key(|one| std::cmp::Reverse(one.count));
    repeated
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Log {
    fn query_finished(&self, event: &QueryFinished<'_>) {
        if let Some(collector) = &self.collector {
            collector.query_finished(event);
        }
        let recorded = Recorded {
            sql: event.sql.to_owned(),
            location: event.location,
            rows: event.rows,
            in_transaction: event.in_transaction,
            failed: event.error.is_some(),
        };
        self.lock().push(recorded);
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recorder")
            .field("statements", &self.0.lock().len())
            .finish()
    }
}

/// A list for the text of a failed assertion: each statement with its place.
struct Lines<I>(I);

impl<I, T> fmt::Display for Lines<I>
where
    I: Iterator<Item = (&'static Location<'static>, T)> + Clone,
    T: fmt::Display,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (location, text) in self.0.clone() {
            write!(formatter, "\n  {location}: {text}")?;
        }
        Ok(())
    }
}

/// Says of a count that is too high what may be the reason: a query once per row.
struct Hint<'a>(&'a [Repeated]);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(most) = self.0.first() else {
            return Ok(());
        };
        write!(
            formatter,
            "\n{} of them by {}: if that is a query for each row of another (N+1), {REMEDY}",
            most.count, most.location
        )
    }
}
