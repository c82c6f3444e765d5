//! The rows of a query: filtered, sorted, cut, and as pages behind a cursor.

use std::cmp::Ordering;

use aquifer_core::sql::{Direction, Nulls, Order, Select};
use aquifer_wire::fingerprint;
use aquifer_wire::types::{Raw, Type, Value};

use super::cell::{self, Row};
use super::condition::{Scope, unsupported};
use super::table::Table;
use crate::query::{CursorKey, CursorPage, Plan, Point};
use crate::{Error, ErrorKind};

/// A row, and the values that it is sorted by.
type Sorted = (Vec<Raw>, Row);

impl Table {
    pub(super) fn select(&self, select: &Select<Value>) -> Result<Vec<Row>, Error> {
        let rows = self.sorted(select)?;
        let number = |value: &Option<Value>| -> Result<Option<usize>, Error> {
            let cell = value.as_ref().map(cell::cell).transpose()?;
            let number = cell.and_then(|cell| cell::integer(&cell));
            Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        let offset = number(&select.offset)?.unwrap_or(0);
        let limit = number(&select.limit)?.unwrap_or(usize::MAX);
        let rows = rows.into_iter().skip(offset).take(limit);
        Ok(rows.map(|(_, row)| row).collect())
    }

    pub(super) fn page(
        &self,
        select: Box<Select<Value>>,
        key: &CursorKey,
        after: Option<&str>,
        size: u64,
    ) -> Result<CursorPage<Row>, Error> {
        if size == 0 {
            let text = "a page has at least one row; give another size";
            return Err(Error::new(ErrorKind::Usage, text));
        }
        let mut rows = self.sorted(&select)?;
        let order = select.order.clone();
        let shape = fingerprint(Plan::of_select(select)?.sql());
        if let Some(after) = after {
            let mark = opened(key.open(shape, after)?);
            let mut behind = Vec::with_capacity(rows.len());
            for row in rows {
                if compare(&order, &row.0, &mark)? == Ordering::Greater {
                    behind.push(row);
                }
            }
            rows = behind;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more);
        let next = last.map(|(values, _)| key.seal(shape, &sealed(values)));
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        Ok(CursorPage { rows, next })
    }

    fn sorted(&self, select: &Select<Value>) -> Result<Vec<Sorted>, Error> {
        refuse(select)?;
        let mut rows = Vec::new();
        for row in self.rows() {
            let scope = Scope {
                meta: self.meta,
                row,
            };
            if scope.passes(&select.filter)? {
                let steps = select.order.iter();
                let values = steps.map(|step| scope.value(&step.by));
                rows.push((values.collect::<Result<Vec<_>, _>>()?, row.clone()));
            }
        }
        let mut fault = None;
        rows.sort_by(|left, right| {
            compare(&select.order, &left.0, &right.0).unwrap_or_else(|error| {
                fault.get_or_insert(error);
                Ordering::Equal
            })
        });
        fault.map_or(Ok(rows), Err)
    }
}

fn refuse(select: &Select<Value>) -> Result<(), Error> {
    if !select.joins.is_empty() {
        return Err(unsupported("join"));
    }
    let Some(extra) = &select.extra else {
        return Ok(());
    };
    if !extra.group.is_empty() || !extra.having.is_empty() {
        return Err(unsupported("group by"));
    }
    if !extra.combine.is_empty() || !extra.with.is_empty() {
        return Err(unsupported("union or with"));
    }
    Ok(())
}

fn compare(order: &[Order<Value>], left: &[Raw], right: &[Raw]) -> Result<Ordering, Error> {
    for (step, (left, right)) in order.iter().zip(left.iter().zip(right)) {
        let nulls_first = match (step.nulls, step.direction) {
            (Some(nulls), _) => nulls == Nulls::First,
            (None, direction) => direction == Direction::Desc,
        };
        let found = match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let found = cell::compare(left, right)?.unwrap_or(Ordering::Equal);
                match step.direction {
                    Direction::Asc => found,
                    Direction::Desc => found.reverse(),
                }
            }
        };
        if found.is_ne() {
            return Ok(found);
        }
    }
    Ok(Ordering::Equal)
}

/// Values as a cursor holds them: the type, and the bytes as characters.
fn sealed(values: &[Raw]) -> Vec<Point> {
    let points = values.iter().flat_map(|value| match value.bytes() {
        None => [Point::Null, Point::Null],
        Some(bytes) => [
            Point::Integer(value.oid().into()),
            Point::Text(bytes.iter().copied().map(char::from).collect()),
        ],
    });
    points.collect()
}

fn opened(points: Vec<Point>) -> Vec<Raw> {
    let values = points.chunks(2).map(|pair| {
        let [Point::Integer(oid), Point::Text(text)] = pair else {
            return cell::null();
        };
        let ty = u32::try_from(*oid).ok().and_then(Type::from_oid);
        let bytes = text.chars().map(|one| u8::try_from(one).unwrap_or(0));
        Raw::new(ty.unwrap_or(Type::TEXT), Some(bytes.collect()))
    });
    values.collect()
}
