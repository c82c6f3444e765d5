//! Conditions and other expressions, evaluated for one row in memory.

use std::cmp::Ordering;

use aquifer_core::sql::{
    Bind, Call, Column, Connective, Constant, Expr, Filter, Function, Nature, Operator, Test,
};
use aquifer_wire::types::{IntoValue, Raw, Value};

use super::cell::{self, Row};
use super::like::{ends_escaping, is_like};
use crate::entity::Meta;
use crate::{Error, ErrorKind, clock};

/// One row, seen by an expression.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) meta: &'static Meta,
    pub(super) row: &'a Row,
}

/// True, false, or neither for NULL.
type Truth = Option<bool>;

impl Scope<'_> {
    pub(super) fn passes(self, filter: &Filter<Value>) -> Result<bool, Error> {
        Ok(filter.list.is_empty() || self.group(filter.connective, &filter.list)? == Some(true))
    }

    fn truth(self, expr: &Expr<Value>) -> Result<Truth, Error> {
        match expr {
            Expr::Compare(column, operator, value) => {
                self.compared(&self.column(column)?, *operator, &cell::cell(value)?)
            }
            Expr::Binary(left, operator, right) => {
                self.compared(&self.value(left)?, *operator, &self.value(right)?)
            }
            Expr::Test(operand, test) => self.test(operand, *test),
            Expr::Not(operand) => Ok(self.truth(operand)?.map(|truth| !truth)),
            Expr::Group(connective, list) => self.group(*connective, list),
            Expr::Quantified {
                left,
                operator,
                all,
                right,
            } => self.quantified(&self.value(left)?, *operator, *all, right),
            Expr::Between {
                operand,
                low,
                high,
                negated,
                symmetric: false,
            } => {
                let operand = self.value(operand)?;
                let above = self.compared(&operand, Operator::GreaterOrEqual, &self.value(low)?)?;
                let below = self.compared(&operand, Operator::LessOrEqual, &self.value(high)?)?;
                Ok(both(above, below).map(|within| within != *negated))
            }
            other => self
                .value(other)?
                .read()
                .map_err(|_mismatch| unknown(other)),
        }
    }

    /// The value of an expression.
    pub(super) fn value(self, expr: &Expr<Value>) -> Result<Raw, Error> {
        match expr {
            Expr::Column(column) => self.column(column),
            Expr::Value(value) | Expr::TypedValue(value) => cell::cell(value),
            Expr::Constant(constant) => match constant {
                Constant::True => cell::cell(&true.into_value()),
                Constant::False => cell::cell(&false.into_value()),
                Constant::Null => Ok(cell::null()),
                Constant::CurrentTimestamp => cell::cell(&clock::wall().into_value()),
                _ => Err(unknown(expr)),
            },
            Expr::Call(call) => self.call(call, expr),
            Expr::Compare(..)
            | Expr::Test(..)
            | Expr::Not(_)
            | Expr::Group(..)
            | Expr::Quantified { .. }
            | Expr::Between {
                symmetric: false, ..
            } => cell::cell(&self.truth(expr)?.into_value()),
            Expr::Binary(_, operator, _) if operator.is_condition() => {
                cell::cell(&self.truth(expr)?.into_value())
            }
            _ => Err(unknown(expr)),
        }
    }

    fn column(self, column: &Column) -> Result<Raw, Error> {
        let own = |table| table == self.meta.table();
        let columns = self.meta.columns().iter();
        let position = columns
            .map(|known| known.name())
            .position(|known| known == column.name.as_str());
        match position.and_then(|position| self.row.get(position)) {
            Some(cell)
                if column
                    .table
                    .as_ref()
                    .is_none_or(|table| own(table.as_str())) =>
            {
                Ok(cell.clone())
            }
            _ => Err(unsupported(&format!("the column {column}"))),
        }
    }

    fn call(self, call: &Call<Value>, expr: &Expr<Value>) -> Result<Raw, Error> {
        let is = |name| Function::parse(name).is_ok_and(|function| function == call.function);
        if is("coalesce") {
            for argument in &call.arguments {
                let value = self.value(argument)?;
                if !value.is_null() {
                    return Ok(value);
                }
            }
            return Ok(cell::null());
        }
        let ([argument], true) = (call.arguments.as_slice(), is("lower") || is("upper")) else {
            return Err(unknown(expr));
        };
        let argument = self.value(argument)?;
        if argument.is_null() {
            return Ok(argument);
        }
        let text = cell::text(&argument).ok_or_else(|| unknown(expr))?;
        let text = match is("lower") {
            true => text.to_lowercase(),
            false => text.to_uppercase(),
        };
        cell::cell(&text.into_value())
    }

    fn compared(self, left: &Raw, operator: Operator, right: &Raw) -> Result<Truth, Error> {
        let like = |any_case, wanted: bool| {
            let texts = cell::text(left).zip(cell::text(right));
            match texts {
                Some((_, pattern)) if ends_escaping(&pattern) => Err(cell::refused(
                    "22025",
                    "LIKE pattern must not end with escape character",
                )),
                Some((text, pattern)) => Ok(Some(is_like(&text, &pattern, any_case) == wanted)),
                None if left.is_null() || right.is_null() => Ok(None),
                None => Err(unsupported(operator.as_str())),
            }
        };
        let by = |fits: fn(Ordering) -> bool| Ok(cell::compare(left, right)?.map(fits));
        match operator {
            Operator::Equal => by(Ordering::is_eq),
            Operator::NotEqual => by(Ordering::is_ne),
            Operator::Less => by(Ordering::is_lt),
            Operator::LessOrEqual => by(Ordering::is_le),
            Operator::Greater => by(Ordering::is_gt),
            Operator::GreaterOrEqual => by(Ordering::is_ge),
            Operator::Like => like(false, true),
            Operator::NotLike => like(false, false),
            Operator::ILike => like(true, true),
            Operator::NotILike => like(true, false),
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {
                let same = match cell::compare(left, right)? {
                    Some(order) => order.is_eq(),
                    None => left.is_null() && right.is_null(),
                };
                Ok(Some(same == (operator == Operator::IsNotDistinctFrom)))
            }
            _ => Err(unsupported(operator.as_str())),
        }
    }

    fn test(self, operand: &Expr<Value>, test: Test) -> Result<Truth, Error> {
        if matches!(test, Test::IsNull | Test::IsNotNull) {
            let is_null = self.value(operand)?.is_null();
            return Ok(Some(is_null == (test == Test::IsNull)));
        }
        let truth = self.truth(operand)?;
        Ok(Some(match test {
            Test::IsTrue => truth == Some(true),
            Test::IsNotTrue => truth != Some(true),
            Test::IsFalse => truth == Some(false),
            _ => truth != Some(false),
        }))
    }

    fn group(self, connective: Connective, list: &[Expr<Value>]) -> Result<Truth, Error> {
        let mut truth = Some(connective == Connective::And);
        for condition in list {
            let next = self.truth(condition)?;
            truth = match connective {
                Connective::And => both(truth, next),
                Connective::Or => {
                    both(truth.map(|truth| !truth), next.map(|next| !next)).map(|neither| !neither)
                }
            };
        }
        Ok(truth)
    }

    fn quantified(
        self,
        left: &Raw,
        operator: Operator,
        all: bool,
        right: &Expr<Value>,
    ) -> Result<Truth, Error> {
        let list = match right {
            Expr::Value(list) if !matches!(list.nature(), Nature::Null) => list.as_list(),
            _ => None,
        };
        let list = list.ok_or_else(|| unknown(right))?;
        let mut truth = Some(all);
        for value in list {
            let next = self.compared(left, operator, &cell::cell(value)?)?;
            truth = match all {
                true => both(truth, next),
                false => {
                    both(truth.map(|truth| !truth), next.map(|next| !next)).map(|neither| !neither)
                }
            };
        }
        Ok(truth)
    }
}

fn both(one: Truth, other: Truth) -> Truth {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

#[cold]
fn unknown(expr: &Expr<Value>) -> Error {
    unsupported(match expr {
        Expr::Exists(_) => "exists (select …)",
        Expr::InSelect(..) => "in (select …)",
        Expr::Select(_) => "(select …)",
        Expr::Raw(_) => "raw!",
        Expr::Case(_) => "case",
        Expr::Cast(..) => "a cast",
        Expr::Array(_) | Expr::Row(_) => "an array or a row",
        Expr::Binary(_, operator, _) => operator.as_str(),
        Expr::Call(_) => "a function",
        Expr::Between { .. } => "between symmetric",
        _ => "a part of a condition",
    })
}

/// What can't be done in memory, and what can be done about that.
#[cold]
pub(super) fn unsupported(what: &str) -> Error {
    let text = format!(
        "FakeRepository can't evaluate `{what}` in memory; run this test on a database, by \
         `testing::Template` or `testing::sandbox`"
    );
    Error::new(ErrorKind::Usage, text)
}
