//! Queries that are put together: the builder, its values and expressions, and the plan below.
//!
//! [`Db::from`](crate::Db::from) begins a [`QueryBuilder`]; the functions here make what stands in it:
//! [`col`], [`val`], [`call`], [`count_all`], [`any`], [`case`], [`window`] and others; [`from`] begins
//! a query that is part of another one. All end as a [`Plan`]: one text, in which names are quoted and
//! values are parameters, and what is known about it.
//!
//! What a builder can't say is said by [`raw!`](crate::raw) in it, or by text on the
//! [`Session`](crate::Session).

mod attached;
mod builder;
mod change;
mod cursor;
mod draft;
mod explain;
mod expression;
mod input;
mod insert;
mod keeping;
mod lint;
mod literal;
mod on_session;
mod page;
mod plan;
mod preview;
mod read;
mod record;
mod window;

pub use aquifer_core::sql::{
    Direction, FrameEdge, FrameUnit, JoinKind, LockStrength, LockWait, Name, Nulls, Operator,
    Table, TimeUnit,
};
pub use aquifer_wire::types::{IntoValue, Value};

pub(crate) use self::attached::Runner;
pub use self::attached::{Attached, Loose};
pub use self::builder::{QueryBuilder, SubQuery, from};
pub(crate) use self::change::many;
pub use self::change::{Change, IntoStatement};
pub use self::cursor::CursorKey;
#[cfg(feature = "testing")]
pub(crate) use self::cursor::Point;
pub(crate) use self::draft::{Draft, rows};
pub use self::explain::{Explained, Step};
pub use self::expression::{
    Expression, all, any, array, array_agg, avg, call, case, coalesce, col, col_exact, count,
    count_all, date_trunc, default, excluded, exists, json_object, json_path, json_set, json_text,
    jsonb_agg, lower, max, min, not, now, row, scalar, sum, upper, val, web_search, words,
};
pub use self::input::{
    Expressions, IntoDirection, IntoExpression, IntoFragment, IntoItem, IntoOperand, IntoOperator,
    IntoSource, Items,
};
pub use self::insert::{Insertion, ManyRows, OneRow};
pub(crate) use self::keeping::Keeping;
pub use self::lint::Lint;
pub use self::literal::{Literal, literal};
pub use self::page::CursorPage;
pub(crate) use self::page::ORDERED;
pub use self::plan::Plan;
pub(crate) use self::preview::Look;
pub use self::read::Page;
pub use self::record::{Record, name_of_column};
pub(crate) use self::record::{Table as Rows, column_list};
pub use self::window::{Window, window};

/// The tree of one expression, with our values in it.
pub type Tree = aquifer_core::sql::Expr<Value>;

type Item = aquifer_core::sql::Item<Value>;
type Order = aquifer_core::sql::Order<Value>;
type Select = aquifer_core::sql::Select<Value>;
