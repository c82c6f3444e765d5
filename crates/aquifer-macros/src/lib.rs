//! Derives for Aquifer's value types. Users meet them through the `aquifer` crate, which re-exports
//! them beside the traits of the same names.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attributes;
mod decode;
mod encode;
mod from_row;
mod letter_case;
mod shape;

#[cfg(test)]
mod tests;

/// Sends a type of yours as a parameter.
///
/// - An enum without data is sent as a label of a PostgreSQL enum, or as text.
/// - A struct with named fields is sent as a composite type. Fields are matched by name, so their
///   order does not matter; both sides must have the same ones.
/// - A struct with one unnamed field is sent as that field: this is how a domain gets a type of its
///   own.
///
/// Labels and field names are those of Rust, unless told otherwise:
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[aquifer(rename_all = "snake_case")]` | enum, struct | renames all variants or fields; as in serde: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE` |
/// | `#[aquifer(rename = "…")]` | variant, field | its name in PostgreSQL; goes before `rename_all` |
/// | `#[aquifer(transparent)]` | struct with one named field | sent as that field |
/// | `#[aquifer(crate = "…")]` | enum, struct | where `types` is found, if not in `::aquifer` |
///
/// ```ignore
/// // CREATE TYPE mood AS ENUM ('sad', 'very happy')
/// #[derive(Encode, Decode)]
/// #[aquifer(rename_all = "lowercase")]
/// enum Mood {
///     Sad,
///     #[aquifer(rename = "very happy")]
///     Happy,
/// }
///
/// // CREATE TYPE address AS (street text, number int)
/// #[derive(Encode, Decode)]
/// struct Address {
///     street: String,
///     number: i32,
/// }
///
/// // CREATE DOMAIN email AS text
/// #[derive(Encode, Decode)]
/// struct Email(String);
/// ```
#[proc_macro_derive(Encode, attributes(aquifer))]
pub fn derive_encode(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    encode::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Reads a type of yours from a column, with the forms and attributes of [`macro@Encode`].
///
/// A composite type may have more fields than the struct; those are left out. A struct may borrow
/// from the row: `struct Address<'a> { street: &'a str }`.
#[proc_macro_derive(Decode, attributes(aquifer))]
pub fn derive_decode(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    decode::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Reads a row into a struct of yours: each field from the column of its name.
///
/// `Option` takes NULL. Columns that no field names are passed over. A struct without field names is
/// read by position. A struct owns its values and can't borrow from the row.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[aquifer(rename_all = "camelCase")]` | struct | renames all fields, with the cases of [`macro@Encode`] |
/// | `#[aquifer(crate = "…")]` | struct | where `row` and `types` are found, if not in `::aquifer` |
/// | `#[aquifer(rename = "…")]` | field | its column; goes before `rename_all` |
/// | `#[aquifer(default)]` | field | takes its `Default` where the column is missing or NULL |
/// | `#[aquifer(flatten)]` | field | reads its own fields from the same row; its type is `FromRow` too |
/// | `#[aquifer(json)]` | field | is stored as `json` or `jsonb` and read through serde; of an `Option<T>`, NULL is `None` |
/// | `#[aquifer(skip)]` | field | has no column and always takes its `Default` |
///
/// ```ignore
/// // SELECT id, name AS "fullName", settings, street, number FROM users
/// #[derive(FromRow)]
/// struct User {
///     id: i64,
///     #[aquifer(rename = "fullName")]
///     name: Option<String>,
///     #[aquifer(json)]
///     settings: Settings,
///     #[aquifer(flatten)]
///     address: Address,
/// }
/// ```
#[proc_macro_derive(FromRow, attributes(aquifer))]
pub fn derive_from_row(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    from_row::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
