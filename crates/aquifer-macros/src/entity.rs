mod field;
mod options;
mod relation;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DataStruct, DeriveInput, Error, Ident, Result};

use self::field::Field;
pub(crate) use self::field::constant_name;
pub(crate) use self::options::ATTRIBUTE;
use self::options::Options;
pub(crate) use self::relation::entity_of;
use crate::{from_row, suggest};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let data = struct_of(input)?;
    let options = Options::parse(&input.attrs, name)?;
    let fields = field::all(data, &options, name)?;
    let key = key(&options, &fields, name)?;
    let soft_delete = named(&options.soft_delete, &fields, name)?;
    let version = named(&options.version, &fields, name)?;
    let root = &options.root;

    let columns = fields.iter().map(|field| field.constant(root));
    let single = match key.as_slice() {
        [field] => Some(&field.ident),
        _ => None,
    };
    let relations = options
        .relations
        .iter()
        .chain(fields.iter().flat_map(|field| &field.options.relations))
        .map(|relation| relation.constant(root, &input.vis, single))
        .collect::<Result<Vec<_>>>()?;
    let checks = soft_delete
        .map(|field| field::assertion(root, field, "soft_delete"))
        .into_iter()
        .chain(version.map(|field| field::assertion(root, field, "version")));
    let readers = fields
        .iter()
        .map(Field::reader)
        .collect::<Result<Vec<_>>>()?;
    let from_row = from_row::implement(root, name, &input.generics, &readers);
    let special = Special {
        key: &key,
        soft_delete,
        version,
    };
    let entity = implement(&options, name, &fields, &special);
    Ok(quote! {
        #[automatically_derived]
        #[allow(dead_code, reason = "not every column is named in a query")]
        impl #name {
            #(#columns)*
            #(#relations)*
        }

        const _: () = {
            #(#checks)*
            #from_row
            #entity
        };
    })
}

/// The fields that are more than a column.
struct Special<'a> {
    key: &'a [&'a Field],
    soft_delete: Option<&'a Field>,
    version: Option<&'a Field>,
}

impl Special<'_> {
    /// What the field's column is, as methods of `ColumnMeta`.
    fn flags(&self, field: &Field) -> Vec<&'static str> {
        let is = |other: &Field| other.ident == field.ident;
        let mut flags = Vec::new();
        if self.key.iter().any(|other| is(other)) {
            flags.push("key");
        }
        if field.options.auto {
            flags.push("auto");
        }
        if field.options.default {
            flags.push("default");
        }
        if self.soft_delete.is_some_and(is) {
            flags.push("soft_delete");
        }
        if self.version.is_some_and(is) {
            flags.push("version");
        }
        flags
    }
}

fn implement(
    options: &Options,
    name: &Ident,
    fields: &[Field],
    special: &Special<'_>,
) -> TokenStream {
    let root = &options.root;
    let (members, columns): (Vec<_>, Vec<_>) =
        fields.iter().map(|field| field.member(root, name)).unzip();
    let metadata = fields
        .iter()
        .map(|field| field.metadata(root, &special.flags(field)));
    let values = fields.iter().map(Field::push_value);
    let (key_type, key_value, key_push) = key_parts(special.key);
    let soft_delete = special.soft_delete.map(|_column| {
        quote! {
            #[automatically_derived]
            impl #root::entity::SoftDelete for #name {}
        }
    });
    let of = name.unraw().to_string();
    let table = &options.table.name;
    let schema = options.table.schema.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |schema| quote!(::core::option::Option::Some(#schema)),
    );
    let (qualified, plain) = select_lists(table, fields.iter().map(|field| &*field.column));
    quote! {
        #[allow(dead_code, missing_docs, missing_debug_implementations, unnameable_types, reason = "only `insert!` looks into it")]
        pub struct __Columns { #(#members,)* }

        #[automatically_derived]
        impl #root::entity::Source for #name {
            type Of = Self;
            const TABLE: &'static #root::entity::Meta = <Self as #root::entity::Entity>::META;
        }

        #[automatically_derived]
        impl #root::entity::Entity for #name {
            type Key = #key_type;
            type Columns = __Columns;

            const COLUMNS: __Columns = __Columns { #(#columns,)* };
            const META: &'static #root::entity::Meta =
                &#root::entity::Meta::new(#of, #schema, #table, &[#(#metadata,)*])
                    .written(#qualified, #plain);

            fn key(&self) -> Self::Key {
                #key_value
            }

            fn key_values(key: Self::Key, into: &mut #root::entity::Values) {
                #key_push
            }

            fn values(&self, into: &mut #root::entity::Values) {
                #(#values)*
            }
        }

        #soft_delete
    }
}

/// All columns as SQL has them, with their table and without: what most queries select is written here
/// once, instead of each time.
pub(crate) fn select_lists<'a>(
    table: &str,
    columns: impl Iterator<Item = &'a str>,
) -> (String, String) {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let plain: Vec<_> = columns.map(quoted).collect();
    let table = quoted(table);
    let qualified: Vec<_> = plain
        .iter()
        .map(|column| format!("{table}.{column}"))
        .collect();
    (qualified.join(", "), plain.join(", "))
}

/// The type of the key, the expression that takes it out of an entity, and the statements that hand
/// over its values.
fn key_parts(key: &[&Field]) -> (TokenStream, TokenStream, TokenStream) {
    let clone = |field: &Field| {
        let ident = &field.ident;
        quote!(::core::clone::Clone::clone(&self.#ident))
    };
    match key {
        [field] => {
            let ty = &field.ty;
            (quote!(#ty), clone(field), quote!(into.push(&key);))
        }
        fields => {
            let types = fields.iter().map(|field| &field.ty);
            let values = fields.iter().map(|field| clone(field));
            let push = (0..fields.len()).map(syn::Index::from);
            (
                quote!((#(#types,)*)),
                quote!((#(#values,)*)),
                quote!(#(into.push(&key.#push);)*),
            )
        }
    }
}

fn struct_of(input: &DeriveInput) -> Result<&DataStruct> {
    let Data::Struct(data) = &input.data else {
        let message = "an entity is a struct: one field for each column of its table";
        return Err(Error::new(input.ident.span(), message));
    };
    if let Some(parameter) = input.generics.params.first() {
        let message = "an entity is one table, and so has no parameters";
        return Err(Error::new_spanned(parameter, message));
    }
    Ok(data)
}

/// The fields of the key, in their order: those marked, or those that the struct names.
fn key<'a>(options: &Options, fields: &'a [Field], name: &Ident) -> Result<Vec<&'a Field>> {
    let marked: Vec<&Field> = fields.iter().filter(|field| field.options.key).collect();
    if options.key.is_empty() {
        if marked.is_empty() {
            let message = "an entity has a key: mark its field with #[entity(key)], or name several \
                           at the struct: #[entity(key(order_id, product_id))]";
            return Err(Error::new(name.span(), message));
        }
        return Ok(marked);
    }
    if let Some(marked) = marked.first() {
        let message = "the key is named at the struct already; leave one of both out";
        return Err(Error::new(marked.ident.span(), message));
    }
    for ident in &options.key {
        find(ident, fields, name)?;
    }
    let named = |field: &&Field| options.key.contains(&field.ident);
    Ok(fields.iter().filter(named).collect())
}

fn named<'a>(
    ident: &Option<Ident>,
    fields: &'a [Field],
    name: &Ident,
) -> Result<Option<&'a Field>> {
    let found = ident.as_ref().map(|ident| find(ident, fields, name));
    found.transpose()
}

fn find<'a>(ident: &Ident, fields: &'a [Field], name: &Ident) -> Result<&'a Field> {
    let found = fields.iter().find(|field| field.ident == *ident);
    found.ok_or_else(|| {
        let known: Vec<String> = fields.iter().map(|field| field.ident.to_string()).collect();
        let hint = suggest::did_you_mean(&ident.to_string(), known.iter().map(String::as_str));
        Error::new(
            ident.span(),
            format!("`{name}` has no field `{ident}`{hint}"),
        )
    })
}
