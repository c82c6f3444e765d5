//! Names that the derive has checked.

use super::{Meta, Source, sql};

/// A name from an attribute, a field or `alias!`, all of which are checked where they are written.
pub(super) fn quoted(name: &'static str) -> sql::Name {
    sql::Name::new(name).unwrap_or_else(|_error| unreachable!("names are checked when compiled"))
}

/// By what name a statement knows the table.
pub(super) fn of_source<E: Source>() -> sql::Name {
    const { static_of_source::<E>() }.into()
}

const fn static_of_source<E: Source>() -> sql::StaticName {
    match E::ALIAS {
        Some(alias) => super::check::static_name(alias),
        None => E::TABLE.name(),
    }
}

pub(super) fn meta<E: Source>() -> &'static Meta {
    E::TABLE
}

pub(super) fn table(meta: &Meta) -> sql::Table {
    sql::Table {
        schema: meta.schema().map(quoted),
        name: meta.name().into(),
    }
}

/// A function that this module names.
pub(super) fn function(name: &'static str) -> sql::Function {
    sql::Function::parse(name).unwrap_or_else(|_not_one_of_ours| unreachable!())
}
