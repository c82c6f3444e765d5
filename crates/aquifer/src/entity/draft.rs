//! The query as it is built: the one part that knows no types of tables, so that it is compiled once.

use aquifer_wire::types::Value;

use super::name::{quoted, table};
use super::relation::{not_deleted, twice};
use super::{Meta, Values, sql, unqualify};
use crate::query;

/// Which rows are seen of tables whose rows are marked as deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deleted {
    Hidden,
    Shown,
    Only,
}

/// The builder that both tiers share, and what is known of the entities in it.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    meta: &'static Meta,
    pub(super) deleted: Deleted,
    pub(super) shared: query::Draft,
    /// The joined tables that mark their rows, by the position of the join.
    marked: Vec<(usize, &'static str)>,
}

impl Draft {
    pub(super) fn of(meta: &'static Meta) -> Self {
        Self {
            meta,
            deleted: Deleted::Hidden,
            shared: query::Draft::of(sql::Source::table(table(meta))),
            marked: Vec::new(),
        }
    }

    pub(super) fn meta(&self) -> &'static Meta {
        self.meta
    }

    pub(super) fn select(&mut self) -> &mut sql::Select<Value> {
        &mut self.shared.select
    }

    pub(super) fn having(&mut self, condition: Result<sql::Expr<Value>, sql::Error>) {
        if let Some(condition) = self.shared.keep(condition) {
            self.select().extra().having.push(condition);
        }
    }

    /// Only the row with that key.
    pub(super) fn key(&mut self, values: Values) {
        for (column, value) in self.meta.key().zip(values.into_iter()) {
            let column = sql::Column {
                table: Some(quoted(self.meta.table())),
                name: quoted(column.name()),
            };
            let condition = sql::Expr::compare(column, sql::Operator::Equal, value);
            self.shared.filter(condition);
        }
    }

    pub(super) fn join(
        &mut self,
        kind: sql::JoinKind,
        source: sql::Source<Value>,
        on: Option<sql::Expr<Value>>,
        meta: &'static Meta,
    ) {
        if self.reads(source.name()) {
            self.shared.fail(twice(source.name()));
            return;
        }
        let joins = &mut self.shared.select.joins;
        if let (Some(column), sql::Source::Table { .. }) = (meta.soft_delete(), &source) {
            self.marked.push((joins.len(), column.name()));
        }
        joins.push(sql::Join {
            kind,
            source,
            on: on.map(sql::Filter::from).unwrap_or_default(),
            using: Vec::new(),
        });
    }

    /// Whether a table of that name is one of those that it reads.
    pub(super) fn reads(&self, name: &sql::Name) -> bool {
        let select = &self.shared.select;
        let sources = select.from.iter();
        let mut sources = sources.chain(select.joins.iter().map(|join| &join.source));
        sources.any(|known| known.name() == name)
    }

    pub(super) fn lock(&mut self, strength: sql::LockStrength) {
        // Of this table only: rows of a left join can't be locked.
        let of = match self.shared.select.joins.is_empty() {
            true => Vec::new(),
            false => vec![quoted(self.meta.table())],
        };
        let wait = sql::LockWait::Wait;
        let lock = sql::Lock { strength, of, wait };
        self.select().extra().locks.push(lock);
    }

    pub(super) fn lock_wait(&mut self, wait: sql::LockWait) {
        match self.select().extra().locks.last_mut() {
            Some(lock) => lock.wait = wait,
            None => self.shared.fail(sql::Error::new(
                "`skip_locked` and `no_wait` say how a lock is waited for, and there is none",
                "call `for_update` or `for_share` before",
            )),
        }
    }

    /// Selects something besides the columns of the entity.
    pub(super) fn append(&mut self, item: sql::Item<Value>) {
        self.select_own();
        self.select().items.push(item);
    }

    /// Selects the columns of the entity, unless others were selected.
    fn select_own(&mut self) {
        if self.shared.select.items.is_empty() {
            let columns = sql::Expr::Written(self.meta.select_list(), true);
            self.select().items = sql::Item::from(columns).into();
        }
    }

    /// The finished query; of the columns of the entity, unless others were selected.
    pub(super) fn finish(mut self) -> query::Draft {
        self.select_own();
        let own = self.meta.name().into();
        let kinds = self.shared.select.joins.iter().map(|join| join.kind);
        let keeps_others =
            |kind: sql::JoinKind| matches!(kind, sql::JoinKind::Right | sql::JoinKind::Full);
        if kinds.into_iter().any(keeps_others) {
            self.hide_before_joins();
        } else if let Some(condition) = mark_condition(self.meta, self.deleted) {
            self.shared.filter(Ok(condition));
        }
        if self.deleted != Deleted::Shown {
            for (position, column) in std::mem::take(&mut self.marked) {
                let Some(join) = self.shared.select.joins.get_mut(position) else {
                    continue;
                };
                let condition = not_deleted(join.source.name().clone(), column);
                match join.kind {
                    sql::JoinKind::Cross => self.shared.filter(Ok(condition)),
                    _ => join.on.push(condition),
                }
            }
        }
        if self.shared.select.joins.is_empty() {
            unqualify::select(&mut self.shared.select, &own);
        }
        self.shared
    }

    /// Where a join keeps rows of either side, a condition behind it or on it would let rows through
    /// that are marked, or take those that stay without any: they are left out of the table itself.
    fn hide_before_joins(&mut self) {
        let own = mark_condition(self.meta, self.deleted);
        let select = &mut self.shared.select;
        if let (Some(from), Some(condition)) = (&mut select.from, own) {
            narrow(from, condition);
        }
        let marked = std::mem::take(&mut self.marked);
        if self.deleted == Deleted::Shown {
            return;
        }
        for (position, column) in marked {
            if let Some(join) = select.joins.get_mut(position) {
                let name = join.source.name().clone();
                narrow(&mut join.source, not_deleted(name, column));
            }
        }
    }
}

/// Only those rows of a table for which that holds.
fn narrow(source: &mut sql::Source<Value>, condition: sql::Expr<Value>) {
    let alias = source.name().clone();
    if !matches!(source, sql::Source::Table { .. }) {
        return;
    }
    let mut select = sql::Select::of(source.clone());
    select.filter.push(condition);
    unqualify::select(&mut select, &alias);
    *source = sql::Source::Select {
        select: Box::new(select),
        alias,
        lateral: false,
    };
}

/// The condition on rows of that table that are marked as deleted, if there is one.
pub(super) fn mark_condition(meta: &Meta, deleted: Deleted) -> Option<sql::Expr<Value>> {
    let column = meta.soft_delete()?;
    let column = sql::Column {
        table: Some(quoted(meta.table())),
        name: quoted(column.name()),
    };
    let test = match deleted {
        Deleted::Hidden => sql::Test::IsNull,
        Deleted::Only => sql::Test::IsNotNull,
        Deleted::Shown => return None,
    };
    Some(sql::Expr::Test(Box::new(column.into()), test))
}

/// A column as it is selected.
pub(super) fn item(table: &sql::Name, column: &'static str) -> sql::Item<Value> {
    let column = sql::Column {
        table: Some(table.clone()),
        name: quoted(column),
    };
    sql::Expr::Column(column).into()
}
