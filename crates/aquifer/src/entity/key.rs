//! Conditions and orders by a key, whatever columns it has.

use super::name::quoted;
use super::{Entity, Pred, Query, sql};
use aquifer_wire::types::{IntoValue, Value};

impl<E: Entity> Pred<E> {
    /// The row has that key.
    pub(crate) fn of_key(values: impl IntoIterator<Item = Value>) -> Self {
        let pairs = E::META.key().zip(values);
        let parts = pairs.map(|(column, value)| {
            sql::Expr::compare(column_of::<E>(column.name()), sql::Operator::Equal, value)
        });
        let list: Result<Vec<_>, _> = parts.collect();
        Self::of(list.map(|mut list| match list.len() {
            1 => list.remove(0),
            _ => sql::Expr::Group(sql::Connective::And, list),
        }))
    }

    /// The column has one of these values.
    pub(crate) fn of_column(column: &'static str, values: Vec<Value>) -> Self {
        let column = sql::Expr::Column(column_of::<E>(column));
        Self::among(column, values.into_value(), false)
    }
}

impl<E: Entity, R> Query<E, R> {
    /// Where the order leaves rows equal, the key decides; so two rows never are.
    pub(crate) fn ordered_by_key(mut self) -> Self {
        for column in E::META.key() {
            let by = sql::Expr::Column(column_of::<E>(column.name()));
            let known = |step: &sql::Order<Value>| matches!(&step.by, sql::Expr::Column(known) if known.name.as_str() == column.name());
            let order = &mut self.draft.select().order;
            if !order.iter().any(known) {
                order.push(sql::Order {
                    by,
                    direction: sql::Direction::Asc,
                    nulls: None,
                });
            }
        }
        self
    }
}

fn column_of<E: Entity>(name: &'static str) -> sql::Column {
    sql::Column {
        table: Some(quoted(E::META.table())),
        name: quoted(name),
    }
}
