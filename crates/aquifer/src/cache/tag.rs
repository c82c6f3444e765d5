//! What a value can depend on besides its key, as it stands behind the `#` of its stamp.
//!
//! Tables go by their bare names: which schema an unqualified name means depends on the search path of
//! whoever writes or reads, and a write that is taken for one of another schema's table costs a load,
//! while one that is missed would be an old value.

/// A name that the user chose.
pub(super) fn of_user(name: &str) -> Box<str> {
    format!("u:{name}").into()
}

/// A table, whatever changes in it.
pub(super) fn of_table(table: &str) -> Box<str> {
    format!("t:{table}").into()
}

/// Rows of a table that were there, whichever they are: changed by an UPDATE without the row's key, but
/// not by an INSERT.
pub(super) fn of_rows(table: &str) -> Box<str> {
    format!("R:{table}").into()
}

/// The row of a table with that primary key.
pub(super) fn of_row(table: &str, key: &str) -> Box<str> {
    format!("{ROW}{table}:{key}").into()
}

/// Anything in the database: changed by what nobody can tell the effects of, such as DDL.
pub(super) fn of_database() -> Box<str> {
    "d".into()
}

/// There are as many as rows are read by their keys: stamps of them don't stay for ever.
pub(super) fn is_of_row(tag: &str) -> bool {
    tag.starts_with(ROW)
}

const ROW: &str = "r:";
