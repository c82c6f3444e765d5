//! What is checked at compile time, by constants: the texts are shown by the compiler.
#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "runs at compile time only, where a panic is an error of the compiler"
)]

use aquifer_core::sql::StaticName;
use aquifer_wire::types::ColumnType;

use super::Meta;

/// Most bytes of a text that is put together here.
const TEXT_MAX: usize = 256;

/// The column that marks rows as deleted is NULL for the others.
pub const fn soft_delete<T: ColumnType>() {
    assert!(
        T::NULLABLE,
        "a column for soft_delete is NULL as long as the row is not deleted: make it an Option"
    );
}

/// PostgreSQL takes the name whole.
pub const fn name(name: &'static str) {
    static_name(name);
}

pub(super) const fn static_name(name: &'static str) -> StaticName {
    match StaticName::new(name) {
        Some(name) => name,
        None => panic!("a name has 1 to 63 bytes, none of them NUL"),
    }
}

/// A column that counts changes is a number.
pub const fn version<T: Version>() {}

/// A type that counts the changes of a row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't count the changes of a row",
    label = "a version is an i16, i32 or i64"
)]
pub trait Version {}

impl Version for i16 {}
impl Version for i32 {}
impl Version for i64 {}

/// That an insert of these fields is complete.
pub const fn insert(meta: &Meta, fields: &[&str]) {
    let mut at = 0;
    while at < meta.columns().len() {
        let column = &meta.columns()[at];
        let given = contains(fields, column.field());
        if column.is_required() && !given {
            fail(&[
                "to insert a `",
                meta.entity(),
                "`, give its field `",
                column.field(),
                "` a value",
            ]);
        }
        if column.is_auto() && given {
            fail(&[
                "the database fills the field `",
                column.field(),
                "` of `",
                meta.entity(),
                "` (it is `auto`): leave it out",
            ]);
        }
        at += 1;
    }
}

const fn contains(fields: &[&str], wanted: &str) -> bool {
    let mut at = 0;
    while at < fields.len() {
        if is_equal(fields[at], wanted) {
            return true;
        }
        at += 1;
    }
    false
}

const fn is_equal(one: &str, other: &str) -> bool {
    // A raw identifier's `r#` is no part of the name.
    let (one, other) = (without_raw(one.as_bytes()), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

const fn without_raw(name: &[u8]) -> &[u8] {
    match name {
        [b'r', b'#', rest @ ..] => rest,
        name => name,
    }
}

/// Fails with a text of several parts, which `assert!` can't put together at compile time.
const fn fail(parts: &[&str]) -> ! {
    let mut text = [0; TEXT_MAX];
    let (mut length, mut part) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut at = 0;
        while at < bytes.len() && length < TEXT_MAX {
            text[length] = bytes[at];
            length += 1;
            at += 1;
        }
        part += 1;
    }
    let (text, _rest) = text.split_at(length);
    match core::str::from_utf8(text) {
        Ok(text) => panic!("{}", text),
        Err(_cut) => panic!("the insert is not complete"),
    }
}
