use std::fmt;
use std::marker::PhantomData;

use aquifer_core::sql::{ConflictAction, ConflictTarget};
use aquifer_wire::types::Value;

use super::insert::{InsertDraft, Rows, raised};
use super::name::quoted;
use super::scope::Phantom;
use super::{Col, ColumnsOf, Entity, Expr, In, Insert, Joined, Meta, Pred, Source, sql, unqualify};

/// The row that was to be inserted, where one is there already; see [`Col::excluded`].
#[derive(Debug)]
pub struct Excluded<E>(PhantomData<fn() -> E>);

impl<E: Entity> Source for Excluded<E> {
    type Of = E;
    const ALIAS: Option<&'static str> = Some("excluded");
    const TABLE: &'static Meta = E::META;
}

impl<E: Entity, T> Col<E, T> {
    /// The value that was to be inserted, for [`OnConflict::set`] and [`OnConflict::update_where`].
    #[must_use]
    pub fn excluded(self) -> Col<Excluded<E>, T> {
        Col::of_name(self.static_name())
    }
}

/// What happens where a row is there already; made by [`Insert::on_conflict`].
#[must_use = "say what happens: `do_update` or `do_nothing`"]
pub struct OnConflict<E, W = super::Always> {
    draft: InsertDraft,
    target: Target,
    index: Vec<sql::Expr<Value>>,
    set: Vec<sql::Assignment<Value>>,
    filter: sql::Filter<Value>,
    entity: Phantom<E, W>,
}

/// By what a row is there already.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Columns(Vec<&'static str>),
    Constraint(&'static str),
}

impl<E, W> OnConflict<E, W> {
    pub(super) fn of(draft: InsertDraft, target: Target) -> Self {
        Self {
            draft,
            target,
            index: Vec::new(),
            set: Vec::new(),
            filter: sql::Filter::default(),
            entity: PhantomData,
        }
    }
}

impl<E: Entity, W: Rows> OnConflict<E, W> {
    /// The condition of the unique index, where it is a partial one. Its values are
    /// [`literal`](super::literal)s, since the server must know them when it plans.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "addresses")]
    /// # struct Address { #[entity(key)] id: i64, customer_id: i64, kind: String, city: String }
    /// let bill = aquifer::insert!(Address { id: 1, customer_id: 7, kind: "billing", city: "Bonn" })
    ///     .on_conflict(Address::CUSTOMER_ID)
    ///     .index_where(Address::KIND.eq_col(literal("billing")))
    ///     .do_update_only(Address::CITY);
    /// ```
    pub fn index_where<P: In<E, I>, I>(mut self, condition: Pred<P>) -> Self {
        self.index.push(valid(condition));
        self
    }

    /// The row is changed only if this holds, which may compare it with what was to be inserted;
    /// otherwise it is left as it is, and none is returned.
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "prices")]
    /// # struct Price { #[entity(key)] product_id: i64, amount: i64, seen_at: i64 }
    /// let price = aquifer::insert!(Price { product_id: 7, amount: 100, seen_at: 5 })
    ///     .on_conflict(Price::PRODUCT_ID)
    ///     .update_where(Price::SEEN_AT.lt_col(Price::SEEN_AT.excluded()))
    ///     .do_update();
    /// ```
    pub fn update_where<P, I>(mut self, condition: Pred<P>) -> OnConflict<E, W::Skipped>
    where
        P: In<Joined<E, Excluded<E>>, I>,
    {
        self.filter.push(valid(condition));
        OnConflict {
            draft: self.draft,
            target: self.target,
            index: self.index,
            set: self.set,
            filter: self.filter,
            entity: PhantomData,
        }
    }

    /// Sets a column to what is computed from the row and from what was to be inserted; see
    /// [`do_update_set`](Self::do_update_set).
    ///
    /// ```
    /// # use aquifer::entity::*;
    /// # #[derive(Entity)] #[entity(table = "stocks")]
    /// # struct Stock { #[entity(key)] product_id: i64, pieces: i64 }
    /// let delivery = aquifer::insert!(Stock { product_id: 7, pieces: 100 })
    ///     .on_conflict(Stock::PRODUCT_ID)
    ///     .set(Stock::PIECES, Stock::PIECES.plus(Stock::PIECES.excluded()))
    ///     .do_update_set();
    /// ```
    pub fn set<T, P, I>(mut self, column: Col<E, T>, value: impl Into<Expr<P, T>>) -> Self
    where
        P: In<Joined<E, Excluded<E>>, I>,
    {
        self.set.push(sql::Assignment {
            column: quoted(column.name()),
            value: value.into().node(),
        });
        self
    }

    /// The row takes over all values that were given, but those of the conflict's columns; what
    /// [`set`](Self::set) says goes before. Its version, if it has one, is raised.
    pub fn do_update(self) -> Insert<E, W> {
        let target = match &self.target {
            Target::Columns(columns) => columns.clone(),
            Target::Constraint(_) => Vec::new(),
        };
        self.update(|column| !target.contains(&column))
    }

    /// The row takes over the values of these columns; its version, if it has one, is raised.
    pub fn do_update_only(self, columns: impl ColumnsOf<E>) -> Insert<E, W> {
        let mut only = Vec::new();
        columns.names(&mut only);
        self.update(|column| only.contains(&column))
    }

    /// Of the row only that is changed which [`set`](Self::set) says; its version, if it has one, is
    /// raised.
    pub fn do_update_set(self) -> Insert<E, W> {
        self.update(|_column| false)
    }

    /// The row is left as it is, and none is returned.
    pub fn do_nothing(self) -> Insert<E, W::Skipped> {
        let mut draft = self.draft;
        draft.conflict = Some(conflict(
            draft.meta,
            self.target,
            self.index,
            ConflictAction::Nothing,
        ));
        draft.into()
    }

    fn update(self, is_set: impl Fn(&'static str) -> bool) -> Insert<E, W> {
        let mut draft = self.draft;
        let version = draft.meta.version().map(|column| column.name());
        let mut set = self.set;
        for column in draft.columns.iter().copied() {
            let own = quoted(column);
            let said = set.iter().any(|assignment| assignment.column == own);
            if is_set(column) && Some(column) != version && !said {
                set.push(excluded(column));
            }
        }
        if let Some(version) = version {
            set.push(raised(quoted(draft.meta.table()), version));
        }
        if set.is_empty() {
            // Something must be set, or the row would not be returned.
            let first = match &self.target {
                Target::Columns(columns) => columns.first(),
                Target::Constraint(_) => draft.columns.first(),
            };
            set.extend(first.copied().map(excluded));
        }
        let filter = self.filter;
        let action = ConflictAction::Update { set, filter };
        draft.conflict = Some(conflict(draft.meta, self.target, self.index, action));
        draft.into()
    }
}

fn valid<P>(condition: Pred<P>) -> sql::Expr<Value> {
    condition.node.unwrap_or_else(sql::Expr::Invalid)
}

fn conflict(
    meta: &Meta,
    target: Target,
    index: Vec<sql::Expr<Value>>,
    action: ConflictAction<Value>,
) -> Box<sql::Conflict<Value>> {
    let target = match target {
        Target::Columns(columns) => {
            let columns = columns.into_iter().map(quoted).collect();
            let mut filter = sql::Filter::default();
            filter.list.extend(index);
            unqualify::filter(&mut filter, &quoted(meta.table()));
            ConflictTarget::Columns(columns, filter)
        }
        Target::Constraint(name) => match sql::Name::new(name) {
            Ok(name) => ConflictTarget::Constraint(name),
            // Refused when it is written, by the error of a condition.
            Err(error) => {
                let filter = sql::Filter::from(sql::Expr::Invalid(error));
                ConflictTarget::Columns(vec![quoted(meta.table())], filter)
            }
        },
    };
    Box::new(sql::Conflict { target, action })
}

/// The value that was to be inserted.
fn excluded(column: &'static str) -> sql::Assignment<Value> {
    let value = sql::Column {
        table: Some(quoted("excluded")),
        name: quoted(column),
    };
    sql::Assignment {
        column: quoted(column),
        value: value.into(),
    }
}

impl<E, W> fmt::Debug for OnConflict<E, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        formatter
            .debug_struct("OnConflict")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}
