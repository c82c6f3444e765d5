//! Names that the derive has checked.

use super::{Meta, Source, sql};

/// A name from an attribute, a field or `alias!`, all of which are checked where they are written.
pub(super) fn quoted(name: &'static str) -> sql::Name {
    sql::Name::constant(name).unwrap_or_else(|| unreachable!("names are checked when compiled"))
}

/// By what name a statement knows the table.
pub(super) fn of_source<E: Source>() -> sql::Name {
    match E::ALIAS {
        Some(alias) => quoted(alias),
        None => quoted(meta::<E>().table()),
    }
}

pub(super) fn meta<E: Source>() -> &'static Meta {
    E::TABLE
}

pub(super) fn table(meta: &Meta) -> sql::Table {
    sql::Table {
        schema: meta.schema().map(quoted),
        name: quoted(meta.table()),
    }
}

/// A function that this module names.
pub(super) fn function(name: &'static str) -> sql::Function {
    sql::Function::parse(name).unwrap_or_else(|_not_one_of_ours| unreachable!())
}
