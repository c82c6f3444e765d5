use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Path, Result, parse_quote};

use crate::attributes::{check_name, crate_root, parse_options};
use crate::entity::{ATTRIBUTE, constant_name, select_lists};
use crate::from_row;
use crate::letter_case::LetterCase;
use crate::suggest;

/// Most columns: those of the longest tuple that can be selected.
const COLUMNS_MAX: usize = 12;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let options = Options::parse(input)?;
    let (root, name, table) = (&options.root, &input.ident, &options.table);
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(name.span(), "a derived table is a struct"));
    };
    let Fields::Named(named) = &data.fields else {
        let message = "the columns of a derived table have the names of its fields: name them";
        return Err(Error::new(name.span(), message));
    };
    if let Some(parameter) = input.generics.params.first() {
        let message = "a derived table has no parameters";
        return Err(Error::new_spanned(parameter, message));
    }
    if named.named.is_empty() || named.named.len() > COLUMNS_MAX {
        let message = format!("a derived table has 1 to {COLUMNS_MAX} columns");
        return Err(Error::new(name.span(), message));
    }
    let (mut constants, mut columns, mut types, mut readers) = (vec![], vec![], vec![], vec![]);
    let mut names = Vec::new();
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let (ty, visibility) = (&field.ty, &field.vis);
        let (constant, column) = (constant_name(ident), ident.unraw().to_string());
        let doc = format!("The column `{column}`.");
        constants.push(quote! {
            #[doc = #doc]
            #visibility const #constant: #root::entity::Col<Self, #ty> =
                #root::entity::Col::new(#column);
        });
        columns.push(quote!(#root::entity::ColumnMeta::of::<#ty>(#column, #column)));
        readers.push(from_row::Field::column(ident, ty, &column, false)?);
        types.push(ty);
        names.push(column);
    }
    let from_row = from_row::implement(root, name, &input.generics, &readers);
    let of = name.unraw().to_string();
    let (qualified, plain) = select_lists(table, names.iter().map(String::as_str));
    Ok(quote! {
        #[automatically_derived]
        #[allow(dead_code, reason = "not every column is named in a query")]
        impl #name {
            #(#constants)*
        }

        const _: () = {
            #from_row

            #[automatically_derived]
            impl #root::entity::Source for #name {
                type Of = Self;
                const TABLE: &'static #root::entity::Meta =
                    &#root::entity::Meta::new(#of, ::core::option::Option::None, #table, &[#(#columns,)*])
                        .written(#qualified, #plain);
            }

            #[automatically_derived]
            impl #root::entity::DerivedTable for #name {
                type Row = (#(#types,)*);
            }
        };
    })
}

/// What `#[entity(…)]` says about the struct.
struct Options {
    root: Path,
    table: String,
}

impl Options {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let name = input.ident.unraw().to_string();
        let mut options = Self {
            root: parse_quote!(::aquifer),
            table: LetterCase::Snake.convert(LetterCase::Pascal, &name),
        };
        parse_options(ATTRIBUTE, &input.attrs, |meta| {
            if meta.path.is_ident("table") {
                let table: LitStr = meta.value()?.parse()?;
                options.table = table.value();
                check_name(&options.table, table.span())?;
            } else if meta.path.is_ident("crate") {
                options.root = crate_root(&meta)?;
            } else {
                let given = meta.path.get_ident().map(ToString::to_string);
                let hint = suggest::did_you_mean(&given.unwrap_or_default(), ["table", "crate"]);
                let text =
                    format!("unknown option: a derived table knows `table` and `crate`{hint}");
                return Err(meta.error(text));
            }
            Ok(())
        })?;
        Ok(options)
    }
}
