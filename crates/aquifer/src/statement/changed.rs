//! What a statement changes, as far as its text shows.

use aquifer_core::scan::{self, Class, Effect};
use aquifer_wire::types::{Params, Type};
use bytes::BytesMut;

/// What was changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changed {
    pub(crate) tables: Vec<ChangedTable>,
    /// The functions that were called, which may have done anything.
    pub(crate) functions: Vec<Box<str>>,
    pub(crate) anything: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangedTable {
    /// Without its schema.
    pub(crate) name: Box<str>,
    pub(crate) effect: Effect,
    /// Columns, and what they are in each row that was changed.
    pub(crate) equals: Vec<Equality>,
}

/// A column, and its value as text.
type Equality = (Box<str>, Box<str>);

/// So many tables of one transaction are told apart.
const TABLES_MAX: usize = 1_000;

/// What a text shows of the effects of the statement.
#[derive(Debug)]
pub(crate) struct Text {
    tables: Vec<Target>,
    pub(crate) functions: Vec<Box<str>>,
    pub(crate) anything: bool,
    /// Whether a part of it may be committed although another part fails.
    pub(crate) midway: bool,
}

#[derive(Debug)]
struct Target {
    name: Box<str>,
    effect: Effect,
    equals: Vec<(Box<str>, usize)>,
}

impl Text {
    pub(crate) fn of(sql: &str) -> Self {
        let scan = scan::scan(sql);
        let functions = scan.functions.iter();
        let functions = functions.map(|function| function.name.as_ref().into());
        let mut text = Self {
            tables: Vec::new(),
            functions: functions.collect(),
            anything: false,
            midway: scan.commits_midway || scan.statements > 1,
        };
        if matches!(scan.class, Class::Empty | Class::Read) {
            return text;
        }
        let changes = scan::changes(sql);
        text.anything = changes.anything;
        text.tables = changes
            .tables
            .into_iter()
            .map(|change| Target {
                name: change.table.into(),
                effect: change.effect,
                equals: change
                    .equals
                    .into_iter()
                    .map(|equal| (equal.column.into(), equal.parameter))
                    .collect(),
            })
            .collect();
        text
    }

    pub(crate) fn has_effects(&self) -> bool {
        self.anything || !self.tables.is_empty()
    }

    /// Adds what the statement changes, whose parameters are these.
    pub(crate) fn note(&self, values: impl Fn(usize) -> Option<Box<str>>, changed: &mut Changed) {
        changed.anything |= self.anything || changed.tables.len() > TABLES_MAX;
        changed.functions.extend(self.functions.iter().cloned());
        if changed.anything {
            changed.tables.clear();
            return;
        }
        for target in &self.tables {
            let equals = target.equals.iter();
            let table = ChangedTable {
                name: target.name.clone(),
                effect: target.effect,
                equals: equals
                    .filter_map(|(column, number)| Some((column.clone(), values(*number)?)))
                    .collect(),
            };
            if !changed.tables.contains(&table) {
                changed.tables.push(table);
            }
        }
    }
}

impl Changed {
    pub(crate) fn is_empty(&self) -> bool {
        !self.anything && self.tables.is_empty() && self.functions.is_empty()
    }
}

/// A parameter as text, one text for each value, of the types that rows are usually told apart by.
pub(crate) fn value_text(
    params: &(dyn Params + Sync),
    types: &[Type],
    number: usize,
) -> Option<Box<str>> {
    let mut bytes = BytesMut::new();
    params.encode(types, &mut bytes).ok()?;
    let mut rest = &bytes[..];
    let mut skip = number.checked_sub(1)?;
    loop {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            // NULL, which equals nothing.
            if skip == 0 {
                return None;
            }
            (rest, skip) = (after, skip - 1);
            continue;
        };
        let (value, after) = after.split_at_checked(length)?;
        if skip == 0 {
            return text_of(types.get(number - 1)?, value);
        }
        (rest, skip) = (after, skip - 1);
    }
}

/// A value of such a type as the one text that stands for it.
pub(crate) fn text_of(ty: &Type, bytes: &[u8]) -> Option<Box<str>> {
    let text = match *ty {
        Type::INT2 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT4 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::INT8 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        Type::UUID => {
            let number = u128::from_be_bytes(bytes.try_into().ok()?);
            format!("{number:032x}")
        }
        Type::TEXT | Type::VARCHAR => {
            let text = std::str::from_utf8(bytes).ok()?;
            // The name of a stamp is not for long texts.
            (text.len() <= KEY_MAX).then(|| text.to_owned())?
        }
        _ => return None,
    };
    Some(text.into())
}

/// Longest key of a row that has a stamp of its own, in bytes.
const KEY_MAX: usize = 128;
