use std::panic::Location;

use aquifer_core::sql::{self, Constant, Direction, Distinct, Name, Nulls, Operator, Test};
use aquifer_wire::types::{IntoValue, Type};
use aquifer_wire::{FromRow, Reply, Row, fingerprint};

use super::attached::Attached;
use super::builder::QueryBuilder;
use super::cursor::{CursorKey, Mark, Point};
use super::draft::{Draft, reversed, rows};
use super::{Item, Order, Select, Tree};
use crate::session::SessionFuture;
use crate::{Error, ErrorKind};

/// Why rows are not read in parts.
pub(crate) const ORDERED: &str =
    "the query has an order; `chunk` orders by its key, so leave it out";

/// Else work would be done on rows that were meant to be left alone.
const CUT: &str = "the query has a limit or an offset, and `chunk` and `each` hand over all rows; \
                   leave it out, or choose rows by a condition";

/// One page of rows, and how to go on behind it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CursorPage<T = Row> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// The cursor of the next page; `None` when this is the last one.
    pub next: Option<String>,
}

impl<'a> QueryBuilder<Attached<'a>> {
    /// The rows behind a cursor, by the query's order: as fast for the thousandth page as for the
    /// first, and without rows that are doubled or left out when others are inserted meanwhile.
    ///
    /// The last step of the order must tell rows apart, as a primary key does. Directions may be mixed,
    /// and values may be NULL. A cursor holds the values of its last row, readable, and is signed with
    /// `key`, so that nobody can make one up; it is good for this query only, with the same order and
    /// the same values in its conditions. The result has further columns, named `cursor 1` and so on. A
    /// limit and an offset of the query count for nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`ErrorKind::Usage`] without an order, for pages without rows, of UNION
    /// and its like, of `distinct` rows ordered by what is not selected, in the order of a window function,
    /// and for a cursor that was not made by this query with this key.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    ///
    /// ```no_run
    /// # use aquifer::{Db, Direction::Desc, Error, query::CursorKey};
    /// # async fn example(db: &Db, key: &CursorKey, after: Option<&str>) -> Result<(), Error> {
    /// let posts = db.from("posts").order_by("created_at", Desc).order_by("id", Desc);
    /// let page = posts.cursor_page(key, after, 20).await?;
    /// println!("{} posts; go on with {:?}", page.rows.len(), page.next);
    /// # Ok(()) }
    /// ```
    #[doc(alias("keyset", "seek", "cursor_by"))]
    #[track_caller]
    pub fn cursor_page(
        self,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> SessionFuture<'a, CursorPage> {
        self.cursor_page_as(key, after, size)
    }

    /// As [`cursor_page`](Self::cursor_page), each row read into a `T`.
    ///
    /// # Errors
    /// As [`cursor_page`](Self::cursor_page).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    #[track_caller]
    pub fn cursor_page_as<T: FromRow + Send>(
        self,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> SessionFuture<'a, CursorPage<T>> {
        let location = Location::caller();
        let session = self.session;
        let key = key.clone();
        let opened = prepare(self.draft, size).and_then(|mut paged| {
            if let Some(after) = after {
                let mark = key.open(paged.shape, &paged.conditions, after)?;
                paged.draft.behind(mark)?;
            }
            Ok(paged)
        });
        Box::pin(async move {
            let paged = opened?;
            let plan = paged.draft.into_plan()?;
            let reply = session.run(Ok(plan), location, Ok).await?;
            let more = reply.len() as u64 > size;
            let mut read: Vec<T> = reply.decode()?;
            read.truncate(usize::try_from(size).unwrap_or(usize::MAX));
            let last = match more {
                true => nth(&reply, size - 1),
                false => None,
            };
            let next = last
                .map(|row| Ok::<_, Error>(key.seal(paged.shape, &paged.conditions, &marks(&row)?)));
            Ok(CursorPage {
                rows: read,
                next: next.transpose()?,
            })
        })
    }

    /// Hands all rows to `work`, so many at a time, in the order of a column that tells them apart;
    /// returns how many there were.
    ///
    /// Each part is a query of its own, which begins behind the last row of the one before: nothing is
    /// held in between, and what `work` changes is seen by the next.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`ErrorKind::Usage`] where the query has an order, a limit or an offset of
    /// its own, and for parts without rows. The first error of `work` ends it.
    ///
    /// # Cancel safety
    /// What `work` has done stays done.
    ///
    /// ```no_run
    /// # use aquifer::{Db, Error};
    /// # async fn example(db: &Db) -> Result<(), Error> {
    /// let seen = db
    ///     .from("users")
    ///     .chunk("id", 500, async |users| {
    ///         println!("{} users", users.len());
    ///         Ok(())
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    #[track_caller]
    pub fn chunk<W, F>(self, key: &'static str, size: u64, work: W) -> SessionFuture<'a, u64>
    where
        W: FnMut(Vec<Row>) -> F + Send + 'a,
        F: Future<Output = Result<(), Error>> + Send,
    {
        let location = Location::caller();
        let has_order = !self.draft.select.order.is_empty();
        let parts = self
            .order_by(key, Direction::Asc)
            .parts(size, work, location);
        Box::pin(async move {
            if has_order {
                return Err(Error::new(ErrorKind::Usage, ORDERED));
            }
            parts.await
        })
    }

    /// Hands all rows to `work`, in the query's order, which tells rows apart.
    pub(crate) fn parts<T, W, F>(
        self,
        size: u64,
        mut work: W,
        location: &'static Location<'static>,
    ) -> SessionFuture<'a, u64>
    where
        T: FromRow + Send,
        W: FnMut(Vec<T>) -> F + Send + 'a,
        F: Future<Output = Result<(), Error>> + Send,
    {
        let session = self.session;
        let select = &self.draft.select;
        let is_cut = select.limit.is_some() || select.offset.is_some();
        let begun = prepare(self.draft, size);
        Box::pin(async move {
            if is_cut {
                return Err(Error::new(ErrorKind::Usage, CUT));
            }
            let draft = begun?.draft;
            let (mut seen, mut mark) = (0, None);
            loop {
                let mut part = draft.clone();
                if let Some(mark) = mark.take() {
                    part.behind(mark)?;
                }
                let reply = session.run(part.into_plan(), location, Ok).await?;
                let last = match reply.len() as u64 > size {
                    true => nth(&reply, size - 1),
                    false => None,
                };
                mark = last.as_ref().map(marks).transpose()?;
                let mut rows: Vec<T> = reply.decode()?;
                rows.truncate(usize::try_from(size).unwrap_or(usize::MAX));
                seen += rows.len() as u64;
                if !rows.is_empty() {
                    work(rows).await?;
                }
                if mark.is_none() {
                    return Ok(seen);
                }
            }
        })
    }

    /// As [`chunk`](Self::chunk), row by row.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    ///
    /// # Cancel safety
    /// As [`chunk`](Self::chunk).
    #[track_caller]
    pub fn each<W>(self, key: &'static str, size: u64, mut work: W) -> SessionFuture<'a, u64>
    where
        W: FnMut(Row) -> Result<(), Error> + Send + 'a,
    {
        self.chunk(key, size, move |rows| {
            std::future::ready(rows.into_iter().try_for_each(&mut work))
        })
    }

    /// The opposite order: for the last rows, or for going back.
    pub fn reversed(mut self) -> Self {
        for step in &mut self.draft.select.order {
            // What the server does by itself would not turn around with the direction alone.
            let nulls = nulls(step);
            step.direction = reversed(step.direction);
            step.nulls = Some(match nulls {
                Nulls::First => Nulls::Last,
                Nulls::Last => Nulls::First,
            });
        }
        self
    }
}

/// A query whose rows are read page by page.
struct Paged {
    /// The query with one row more than asked for, and with the values of its order as columns.
    draft: Draft,
    /// The number of its shape.
    shape: u64,
    /// The values of its conditions as bytes.
    conditions: Vec<u8>,
}

fn prepare(mut draft: Draft, size: u64) -> Result<Paged, Error> {
    draft.check()?;
    refuse(&draft.select)?;
    if draft.select.order.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "rows behind a cursor need an order; say `order_by`, with a unique column last",
        ));
    }
    if size == 0 {
        let text = "a page has at least one row; give another size";
        return Err(Error::new(ErrorKind::Usage, text));
    }
    let items = &mut draft.select.items;
    if items.is_empty() {
        items.push(Tree::All(None).into());
    }
    for (number, step) in draft.select.order.iter().enumerate() {
        items.push(Item {
            expr: step.by.clone(),
            alias: Some(Name::new(format!("cursor {}", number + 1))?),
        });
    }
    draft.select.offset = None;
    // The size of a page may be another one each time.
    draft.select.limit = None;
    let plan = draft.clone().into_plan()?;
    draft.select.limit = Some(rows(size.saturating_add(1)));
    Ok(Paged {
        draft,
        shape: fingerprint(plan.sql()),
        conditions: plan.conditions(),
    })
}

/// What the server would refuse at the second part only, or what would be parts of other rows.
fn refuse(select: &Select) -> Result<(), Error> {
    let mut order = select.order.iter();
    if order.any(|step| matches!(&step.by, Tree::Call(call) if call.over.is_some())) {
        let text = "rows behind a cursor can't be ordered by a window function; order the rows of a \
                    sub-query by it";
        return Err(Error::new(ErrorKind::Usage, text));
    }
    let Some(extra) = &select.extra else {
        return Ok(());
    };
    let text = if !extra.combine.is_empty() {
        "the rows of UNION and its like can't be read behind a cursor; select from them, and order that"
    } else if matches!(extra.distinct, Distinct::Rows)
        && !select.order.iter().all(|step| selects(select, &step.by))
    {
        // What it is ordered by is selected besides, and would make equal rows different.
        "different rows behind a cursor are ordered by selected columns only; select the others, too, \
         or leave them out of the order"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Usage, text))
}

/// Whether a column is one of those that are selected, as far as they are named.
fn selects(select: &Select, by: &Tree) -> bool {
    let Tree::Column(by) = by else {
        return false;
    };
    select.items.is_empty()
        || select.items.iter().any(|item| match &item.expr {
            Tree::All(_) | Tree::Written(..) => true,
            Tree::Column(column) => column.name == by.name,
            _ => item.alias.as_ref() == Some(&by.name),
        })
}

impl Draft {
    /// Only rows behind the one with these values.
    fn behind(&mut self, mark: Mark) -> Result<(), Error> {
        let order = &self.select.order;
        if mark.len() != order.len() {
            return Err(super::cursor::foreign());
        }
        let mut equal: Vec<Tree> = Vec::new();
        let mut any = Vec::new();
        for (step, value) in order.iter().zip(mark) {
            let mut all = equal.clone();
            all.push(later(step, &value));
            any.push(Tree::Group(sql::Connective::And, all));
            equal.push(match value.is_null() {
                true => Tree::Test(Box::new(step.by.clone()), Test::IsNull),
                false => Tree::binary(
                    step.by.clone(),
                    Operator::Equal,
                    Tree::Value(value.into_value()),
                ),
            });
        }
        // Of groups, HAVING: the order may be one of what is computed from each.
        let filter = match &mut self.select.extra {
            Some(extra) if !extra.group.is_empty() => &mut extra.having,
            _ => &mut self.select.filter,
        };
        if filter.connective == sql::Connective::Or && filter.list.len() > 1 {
            let list = std::mem::take(&mut filter.list);
            filter
                .list
                .push(Tree::Group(sql::Connective::Or, list.into()));
        }
        filter.connective = sql::Connective::And;
        filter.push(Tree::Group(sql::Connective::Or, any));
        Ok(())
    }
}

/// Where NULL stands, whoever says it.
fn nulls(step: &Order) -> Nulls {
    step.nulls.unwrap_or(match step.direction {
        Direction::Asc => Nulls::Last,
        Direction::Desc => Nulls::First,
    })
}

/// The condition that a value stands behind another one by one step of an order.
fn later(step: &Order, value: &Point) -> Tree {
    let column = || Box::new(step.by.clone());
    match (value.is_null(), nulls(step)) {
        (true, Nulls::First) => Tree::Test(column(), Test::IsNotNull),
        (true, Nulls::Last) => Tree::Constant(Constant::False),
        (false, nulls) => {
            let operator = match step.direction {
                Direction::Asc => Operator::Greater,
                Direction::Desc => Operator::Less,
            };
            let behind = Tree::binary(
                step.by.clone(),
                operator,
                Tree::Value(value.clone().into_value()),
            );
            match nulls {
                Nulls::First => behind,
                Nulls::Last => Tree::Group(
                    sql::Connective::Or,
                    vec![behind, Tree::Test(column(), Test::IsNull)],
                ),
            }
        }
    }
}

fn nth(reply: &Reply, index: u64) -> Option<Row> {
    reply.rows().nth(usize::try_from(index).ok()?)
}

/// The values of a row's order, from the columns that were added for it.
fn marks(row: &Row) -> Result<Mark, Error> {
    let columns = row.columns().list();
    let added = columns.iter().enumerate().filter(|(_, column)| {
        let number = column.name().strip_prefix("cursor ");
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    added
        .map(|(index, column)| {
            let point = match *column.ty() {
                Type::BOOL => row.get::<Option<bool>>(index)?.map(Point::Bool),
                Type::INT2 | Type::INT4 | Type::INT8 => {
                    row.get::<Option<i64>>(index)?.map(Point::Integer)
                }
                Type::FLOAT4 | Type::FLOAT8 => row.get::<Option<f64>>(index)?.map(Point::Float),
                _ => row.get::<Option<String>>(index)?.map(Point::Text),
            };
            Ok(point.unwrap_or(Point::Null))
        })
        .collect()
}
