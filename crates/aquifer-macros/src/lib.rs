//! Derives for Aquifer's value types. Users meet them through the `aquifer` crate, which re-exports
//! them beside the traits of the same names.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod attributes;
mod decode;
mod derived_table;
mod encode;
mod entity;
mod from_row;
mod letter_case;
mod projection;
mod shape;
mod suggest;

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

/// Makes a struct the rows of a table, and gives it a constant for each column: the typed tier.
///
/// `User::EMAIL` is a `Col<User, String>` from which conditions, orders and select lists are built;
/// see the module `entity`. The struct can be read from rows, as with [`macro@FromRow`], which is not
/// derived besides. A column is as visible as its field.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[entity(table = "users")]`, `"app.users"` | struct | its table, perhaps with the schema |
/// | `#[entity(key)]` | field | the primary key, or a part of it |
/// | `#[entity(key(order_id, product_id))]` | struct | the primary key, of several fields |
/// | `#[entity(auto)]` | field | always filled by the database: no part of an insert or update |
/// | `#[entity(default)]` | field | filled by the database where an insert gives no value |
/// | `#[entity(rename = "…")]` | field | its column; goes before `rename_all` |
/// | `#[entity(rename_all = "camelCase")]` | struct | renames all columns, with the cases of [`macro@Encode`] |
/// | `#[entity(json)]` | field | is stored as `json` or `jsonb` through serde |
/// | `#[entity(soft_delete = deleted_at)]` | struct | rows are marked there instead of being deleted, and then passed over |
/// | `#[entity(version = lock_version)]` | struct | raised by each `save`, which fails where another was faster |
/// | `#[entity(has_many(POSTS = Post::USER_ID))]` | struct | a relation: rows of another table that name this key |
/// | `#[entity(belongs_to = User::ID)]` | field | a relation: the row that this field names; called `USER` for a field `user_id` |
/// | `#[entity(belongs_to(AUTHOR = User::ID))]` | field | the same, with a name of its own |
/// | `#[entity(crate = "…")]` | struct | where `entity` is found, if not in `::aquifer` |
///
/// ```ignore
/// #[derive(Entity)]
/// #[entity(table = "users", soft_delete = deleted_at, has_many(POSTS = Post::USER_ID))]
/// struct User {
///     #[entity(key, auto)]
///     id: i64,
///     email: String,
///     #[entity(default)]
///     active: bool,
///     nick: Option<String>,
///     deleted_at: Option<SystemTime>,
/// }
/// ```
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    entity::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct the row of a query, and gives it a constant for each column, so that other queries
/// can use it as a table: in WITH, in FROM, in unions.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[entity(table = "totals")]` | struct | its name in statements; by default that of the struct in snake case |
/// | `#[entity(crate = "…")]` | struct | where `entity` is found, if not in `::aquifer` |
#[proc_macro_derive(DerivedTable, attributes(entity))]
pub fn derive_derived_table(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derived_table::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct what a query selects: each field from a column.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[entity(of = User)]` | struct | the entity whose columns have the names of the fields |
/// | `#[entity(column = Post::TITLE)]` | field | another column |
/// | `#[entity(crate = "…")]` | struct | where `entity` is found, if not in `::aquifer` |
#[proc_macro_derive(Projection, attributes(entity))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    projection::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
