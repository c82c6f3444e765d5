use std::time::Duration;

use aquifer_core::sql::{
    self, Call, Connective, Delete, Direction, Distinct, Function, Join, JoinKind, List, Name,
    Operator, Source, Table, Update,
};
use aquifer_wire::types::{IntoValue, Value};

use super::keeping::{Keeping, not_kept};
use super::plan::Plan;
use super::{Item, Select, Tree};
use crate::Error;

/// The query that all builders put together: what it has so far, and the first thing that was wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// On the heap, since builders are moved at each of their methods.
    pub(crate) select: Box<Select>,
    pub(crate) all_rows: bool,
    pub(crate) fault: Option<sql::Error>,
    pub(crate) keeping: Option<Box<Keeping>>,
}

impl Draft {
    /// A query of that source.
    pub(crate) fn of(source: Source<Value>) -> Self {
        Self {
            select: Box::new(Select::of(source)),
            // Each of its own: a default of the rest would be put on the heap with a query.
            all_rows: false,
            fault: None,
            keeping: None,
        }
    }

    /// The result, or its error kept for the end.
    #[inline]
    pub(crate) fn keep<T>(&mut self, result: Result<T, sql::Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    /// Keeps the first error; what follows is often its consequence.
    #[cold]
    pub(crate) fn fail(&mut self, error: sql::Error) {
        self.fault.get_or_insert(error);
    }

    /// One more condition that must hold.
    #[inline]
    pub(crate) fn filter(&mut self, condition: Result<Tree, sql::Error>) {
        let Some(condition) = self.keep(condition) else {
            return;
        };
        let filter = &mut self.select.filter;
        if filter.connective == Connective::Or && filter.list.len() > 1 {
            return self.fail(mixed());
        }
        filter.connective = Connective::And;
        filter.push(condition);
    }

    /// One more condition of which one must hold.
    pub(crate) fn or_filter(&mut self, condition: Result<Tree, sql::Error>) {
        let Some(condition) = self.keep(condition) else {
            return;
        };
        let filter = &mut self.select.filter;
        if filter.connective == Connective::And && filter.list.len() > 1 {
            return self.fail(mixed());
        }
        filter.connective = Connective::Or;
        filter.push(condition);
    }

    pub(crate) fn join(
        &mut self,
        kind: JoinKind,
        source: Result<Source<Value>, sql::Error>,
        on: Result<Tree, sql::Error>,
    ) {
        let (Some(source), Some(on)) = (self.keep(source), self.keep(on)) else {
            return;
        };
        self.select.joins.push(Join {
            kind,
            source,
            on: on.into(),
            using: Vec::new(),
        });
    }

    /// The table alone, for statements that change it; its alias too.
    pub(crate) fn take_table(&mut self) -> Result<(Table, Option<Name>), sql::Error> {
        match self.select.from.take() {
            Some(Source::Table { table, alias }) => Ok((table, alias)),
            Some(other) => Err(sql::Error::new(
                format!("{} is no table that can be changed", other.name()),
                "begin with `from` and the table's name",
            )),
            None => Err(sql::Error::new(
                "the query names no table",
                "begin with `from` and the table's name",
            )),
        }
    }

    pub(crate) fn check(&mut self) -> Result<(), sql::Error> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    pub(crate) fn into_select(mut self) -> Result<Box<Select>, sql::Error> {
        self.check()?;
        Ok(self.select)
    }

    #[inline]
    pub(crate) fn into_plan(mut self) -> Result<Plan, Error> {
        let keeping = self.keeping.take();
        Ok(Plan::of_select(self.into_select()?)?.keeping(keeping))
    }

    /// The result is kept, under that key if there is one.
    pub(crate) fn keep_result(&mut self, ttl: Duration, key: Option<Box<str>>) {
        let keeping = self.keeping.get_or_insert_with(|| Keeping::new(ttl).into());
        (keeping.ttl, keeping.key) = (ttl, key);
    }

    /// What the result is made of besides what is known.
    pub(crate) fn depend_on<T: AsRef<str>>(&mut self, tables: impl IntoIterator<Item = T>) {
        match &mut self.keeping {
            Some(keeping) => keeping.add_tables(tables),
            None => self.fail(not_kept()),
        }
    }

    /// How many rows it has: `count(*)` of it.
    pub(crate) fn into_count(mut self) -> Result<Plan, Error> {
        let keeping = self.keeping.take();
        let mut select = self.into_select()?;
        // An aggregate or a function that returns rows makes other rows than there are.
        let as_they_are = |item: &Item| {
            matches!(
                item.expr,
                Tree::Column(_) | Tree::All(_) | Tree::Written(..)
            )
        };
        let plain = is_plain(&select) && select.items.iter().all(as_they_are);
        unordered(&mut select);
        if plain {
            select.items = Item::from(count_all()?).into();
            return Ok(Plan::of_select(select)?.keeping(keeping));
        }
        let outer = outer(select, count_all()?.into())?;
        Ok(Plan::of_select(Box::new(outer))?.keeping(keeping))
    }

    /// Whether it has any row.
    pub(crate) fn into_exists(mut self) -> Result<Plan, Error> {
        let keeping = self.keeping.take();
        let mut select = self.into_select()?;
        unordered(&mut select);
        let outer = Select {
            items: Item::from(Tree::Exists(select)).into(),
            ..Select::default()
        };
        Ok(Plan::of_select(Box::new(outer))?.keeping(keeping))
    }

    /// An aggregate of it.
    pub(crate) fn into_aggregate(
        mut self,
        function: &'static str,
        column: Result<Tree, sql::Error>,
    ) -> Result<Plan, Error> {
        let keeping = self.keeping.take();
        let mut select = self.into_select()?;
        let (function, column) = (Function::parse(function)?, column?);
        let call = |argument| Item::from(Tree::from(Call::new(function, vec![argument])));
        if is_plain(&select) {
            select.order.clear();
            select.items = call(column).into();
            return Ok(Plan::of_select(select)?.keeping(keeping));
        }
        let extra = select.extra.as_deref();
        let own_rows = extra.is_some_and(|extra| {
            !extra.group.is_empty()
                || !extra.having.is_empty()
                || !extra.combine.is_empty()
                || !matches!(extra.distinct, Distinct::No)
        });
        let name = match column {
            // The rows are other ones than those of the table: the column is one of the result.
            Tree::Column(column) if own_rows => column.name,
            _ if own_rows => return Err(no_column_of_result().into()),
            column => {
                let value = Name::new("value")?;
                select.items = List::from(Item {
                    expr: column,
                    alias: Some(value.clone()),
                });
                value
            }
        };
        let outer = outer(select, call(Tree::Column(name.into())))?;
        Ok(Plan::of_select(Box::new(outer))?.keeping(keeping))
    }

    /// What changes the rows that it finds. Further tables become FROM.
    pub(crate) fn into_update(mut self) -> Result<Update<Value>, sql::Error> {
        self.check()?;
        let (table, alias) = self.take_table()?;
        let mut update = Update::of(table);
        update.alias = alias;
        (update.from, update.joins, update.filter) = self.others("UPDATE")?;
        if let Some(extra) = self.select.extra {
            update.with = extra.with;
        }
        update.all_rows = self.all_rows;
        Ok(update)
    }

    pub(crate) fn into_delete(mut self) -> Result<Delete<Value>, sql::Error> {
        self.check()?;
        let (table, alias) = self.take_table()?;
        let mut delete = Delete::from(table);
        delete.alias = alias;
        (delete.using, delete.joins, delete.filter) = self.others("DELETE")?;
        if let Some(extra) = self.select.extra {
            delete.with = extra.with;
        }
        delete.all_rows = self.all_rows;
        Ok(delete)
    }

    /// The joined tables and the conditions, as UPDATE and DELETE have them: the condition of the
    /// first join is one of WHERE, since the table that is changed stands apart.
    fn others(&mut self, what: &'static str) -> Result<Others, sql::Error> {
        refuse_shape(&self.select, what)?;
        let mut filter = std::mem::take(&mut self.select.filter);
        let mut joins = std::mem::take(&mut self.select.joins).into_iter();
        let Some(first) = joins.next() else {
            return Ok((None, Vec::new(), filter));
        };
        if !matches!(first.kind, JoinKind::Inner | JoinKind::Cross) || !first.using.is_empty() {
            return Err(sql::Error::new(
                format!(
                    "{what} can take the first other table by an inner join with a condition only"
                ),
                "use `join`, or `where_exists` with a sub-query",
            ));
        }
        filter.all_must_hold();
        filter.list.extend(first.on.list);
        Ok((Some(first.source), joins.collect(), filter))
    }
}

/// Whether a query returns one row for each that its sources and conditions give.
fn is_plain(select: &Select) -> bool {
    select.limit.is_none()
        && select.offset.is_none()
        && select.extra.as_ref().is_none_or(|extra| {
            extra.group.is_empty()
                && extra.combine.is_empty()
                && extra.having.is_empty()
                && extra.locks.is_empty()
                && matches!(extra.distinct, Distinct::No)
        })
}

/// Takes the order away, which costs the server a sort, where it says nothing about how many rows
/// there are.
fn unordered(select: &mut Select) {
    if select.extra.as_ref().is_none_or(|extra| !extra.with_ties) {
        select.order.clear();
    }
}

#[cold]
fn no_column_of_result() -> sql::Error {
    sql::Error::new(
        "an aggregate of groups, a union or distinct rows was asked of an expression",
        "name a column of the result, by the alias that it has in `select`",
    )
}

type Others = (Option<Source<Value>>, Vec<Join<Value>>, sql::Filter<Value>);

/// Refuses what a SELECT has and a statement that changes rows has not: in silence it would change
/// more rows than are meant.
fn refuse_shape(select: &Select, what: &'static str) -> Result<(), sql::Error> {
    let extra = select.extra.as_deref();
    let found = if select.limit.is_some() || select.offset.is_some() {
        "a limit or offset"
    } else if extra.is_some_and(|extra| !extra.group.is_empty() || !extra.having.is_empty()) {
        "a group"
    } else if extra.is_some_and(|extra| !extra.combine.is_empty() || !extra.locks.is_empty()) {
        "a union or a lock"
    } else {
        return Ok(());
    };
    Err(sql::Error::new(
        format!("{what} can't have {found}"),
        "choose the rows by a sub-query: `where_in_query(\"id\", …)`",
    ))
}

#[cold]
fn mixed() -> sql::Error {
    sql::Error::new(
        "conditions are joined by `where_` and by `or_where` in one group",
        "say which belong together with `where_any` or `where_all`",
    )
}

fn count_all() -> Result<Tree, sql::Error> {
    Ok(Call::new(Function::parse("count")?, vec![Tree::All(None)]).into())
}

/// A query of all rows of another.
fn outer(select: Box<Select>, item: Item) -> Result<Select, sql::Error> {
    let mut outer = Select::of(Source::Select {
        select,
        alias: Name::new("all_rows")?,
        lateral: false,
    });
    outer.items.push(item);
    Ok(outer)
}

/// A condition on anything: values by the rules of [`Tree::compare`], expressions as they are.
#[inline]
pub(crate) fn comparison(left: Tree, operator: Operator, right: Tree) -> Result<Tree, sql::Error> {
    match right {
        // Of these the server takes a parameter without a type for what stands on the left, where an
        // element may be meant, too: a day in a range.
        Tree::TypedValue(_) if is_overloaded(operator) => Ok(Tree::binary(left, operator, right)),
        Tree::Value(value) | Tree::TypedValue(value) => match operator {
            Operator::Between | Operator::NotBetween => between(left, operator, value),
            _ => Tree::compare_expr(left, operator, value),
        },
        Tree::Select(select) => match operator {
            Operator::In => Ok(Tree::InSelect(Box::new(left), select)),
            Operator::NotIn => Ok(Tree::Not(Box::new(Tree::InSelect(Box::new(left), select)))),
            _ => Ok(Tree::binary(left, operator, Tree::Select(select))),
        },
        right if operator.is_condition() && !operator.takes_values() => {
            let right = beside(&left, right);
            Ok(Tree::binary(left, operator, right))
        }
        _ => Err(sql::Error::new(
            format!("`{}` can't compare with an expression", operator.as_str()),
            "give it values, or use another operator",
        )),
    }
}

/// Of rows that are compared, a value has the type of what it is compared with, as elsewhere.
fn beside(left: &Tree, right: Tree) -> Tree {
    let (known, values) = match (left, right) {
        (Tree::Row(known), Tree::Row(values)) => (known, values),
        (_, right) => return right,
    };
    let has_type = |part: Option<&Tree>| !matches!(part, None | Some(Tree::TypedValue(_)));
    let values = values.into_iter().enumerate();
    let values = values.map(|(at, value)| match value {
        Tree::TypedValue(value) if has_type(known.get(at)) => Tree::Value(value),
        other => other,
    });
    Tree::Row(values.collect())
}

fn is_overloaded(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Contains
            | Operator::ContainedBy
            | Operator::Overlaps
            | Operator::LeftOf
            | Operator::RightOf
            | Operator::NotRightOf
            | Operator::NotLeftOf
            | Operator::Adjacent
    )
}

fn between(left: Tree, operator: Operator, ends: Value) -> Result<Tree, sql::Error> {
    let two = ends
        .into_list()
        .and_then(|list| <[Value; 2]>::try_from(list).ok());
    match two {
        Some([low, high]) => Tree::between(left, low, high, operator == Operator::NotBetween),
        // The error names the column.
        None => Tree::compare_expr(left, operator, Value::NULL),
    }
}

/// A number of rows as a value.
pub(crate) fn rows(count: u64) -> Value {
    count
        .min(i64::MAX.unsigned_abs())
        .try_into()
        .unwrap_or(i64::MAX)
        .into_value()
}

/// The opposite order, for going back.
pub(crate) fn reversed(direction: Direction) -> Direction {
    match direction {
        Direction::Asc => Direction::Desc,
        Direction::Desc => Direction::Asc,
    }
}
