use aquifer_core::sql::{self, Direction, Frame, FrameEdge, FrameUnit};
use aquifer_wire::types::Value;

use super::expression::order;
use super::input::{Expressions, IntoExpression};

/// Which rows a window function sees; made by [`window`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Window {
    pub(super) tree: Result<sql::Window<Value>, sql::Error>,
}

/// A window over all rows, to be narrowed.
///
/// ```
/// use aquifer::query::{self, call, window};
/// use aquifer::Direction::Desc;
///
/// let best = call("rank", ()).over(window().partition_by(["team"]).order_by("score", Desc));
/// let sql = query::from("players").select(("name", best.alias("place"))).to_sql()?;
/// assert_eq!(
///     sql,
///     r#"select "name", rank() over (partition by "team" order by "score" desc) as "place" from "players""#
/// );
/// # Ok::<(), aquifer::Error>(())
/// ```
pub fn window() -> Window {
    Window {
        tree: Ok(sql::Window::default()),
    }
}

impl Window {
    fn change(
        mut self,
        change: impl FnOnce(&mut sql::Window<Value>) -> Result<(), sql::Error>,
    ) -> Self {
        self.tree = self
            .tree
            .and_then(|mut tree| change(&mut tree).map(|()| tree));
        self
    }

    /// Only rows that have these in common.
    pub fn partition_by(self, by: impl Expressions) -> Self {
        self.change(|tree| {
            tree.partition.extend(by.into_trees()?);
            Ok(())
        })
    }

    /// In this order.
    pub fn order_by(self, by: impl IntoExpression, direction: Direction) -> Self {
        self.change(|tree| {
            tree.order.push(order(by, direction, None)?);
            Ok(())
        })
    }

    /// Of those only the rows from one edge to the other.
    pub fn rows(self, start: FrameEdge, end: FrameEdge) -> Self {
        self.frame(FrameUnit::Rows, start, end)
    }

    /// As [`rows`](Self::rows), where the edges count rows, groups of equals or distances.
    pub fn frame(self, unit: FrameUnit, start: FrameEdge, end: FrameEdge) -> Self {
        self.change(|tree| {
            tree.frame = Some(Frame { unit, start, end });
            Ok(())
        })
    }
}
