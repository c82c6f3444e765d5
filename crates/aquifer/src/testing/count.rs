use std::fmt;
use std::ops::{Range, RangeFrom, RangeInclusive, RangeToInclusive};

/// How many calls there may be: what [`assert_queries!`](crate::assert_queries) takes, a number or a
/// range.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    least: usize,
    most: Option<usize>,
}

/// A number of calls, or a range of it: `2`, `1..=3`, `..=3`, `1..`, `1..4`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no number of queries",
    label = "give a number, as in `2`, or a range, as in `..=3`"
)]
pub trait IntoCount {
    /// The bounds, both included.
    fn into_count(self) -> Count;
}

impl Count {
    pub(super) fn fits(self, count: usize) -> bool {
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }

    fn new(least: usize, most: impl Into<Option<usize>>) -> Self {
        let most = most.into();
        Self { least, most }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (1, Some(1)) => formatter.write_str("1 query"),
            (least, Some(most)) if least == most => write!(formatter, "{least} queries"),
            (0, Some(most)) => write!(formatter, "at most {most} queries"),
            (least, Some(most)) => write!(formatter, "{least} to {most} queries"),
            (least, None) => write!(formatter, "at least {least} queries"),
        }
    }
}

impl IntoCount for usize {
    fn into_count(self) -> Count {
        Count::new(self, self)
    }
}

impl IntoCount for RangeInclusive<usize> {
    fn into_count(self) -> Count {
        Count::new(*self.start(), *self.end())
    }
}

impl IntoCount for Range<usize> {
    fn into_count(self) -> Count {
        Count::new(self.start, self.end.saturating_sub(1))
    }
}

impl IntoCount for RangeToInclusive<usize> {
    fn into_count(self) -> Count {
        Count::new(0, self.end)
    }
}

impl IntoCount for RangeFrom<usize> {
    fn into_count(self) -> Count {
        Count::new(self.start, None)
    }
}

/// Asserts how many queries a block causes, and returns what the block returns: a number, or a range
/// as in `..=3`.
///
/// The text of a failure lists the statements with their places, and says if one place has sent the
/// same one several times. Everything that the recorder's handles do meanwhile counts, so a test has
/// a handle and a recorder of its own.
///
/// ```no_run
/// use aquifer::testing::{Recorder, assert_queries};
/// use aquifer::{Config, Db, Session};
///
/// # async fn example() -> Result<(), aquifer::Error> {
/// let recorder = Recorder::new();
/// let db = Db::connect_with(&Config::from_env()?.observer(recorder.observer())).await?;
/// let users = assert_queries!(recorder, 1, {
///     db.query("select name from users", ()).await?
/// });
/// assert_queries!(recorder, ..=2, {
///     db.from("posts").paginate(1, 20).await?;
/// });
/// # Ok(()) }
/// ```
#[macro_export]
macro_rules! assert_queries {
    ($recorder:expr, $expected:expr, $block:expr $(,)?) => {{
        let recorder = &$recorder;
        let mark = recorder.mark();
        let value = $block;
        recorder.assert_queries_since(mark, $expected);
        value
    }};
}
