use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Error, Ident, Path, Result, Type, Visibility};

use super::options::{FieldOptions, Options};
use crate::from_row::{self, option_of};
use crate::letter_case::LetterCase;
use crate::shape::{located, moved, span_of};

/// One field and its column.
pub(super) struct Field {
    pub(super) ident: Ident,
    pub(super) ty: Type,
    pub(super) column: String,
    pub(super) options: FieldOptions,
    visibility: Visibility,
}

/// The constant of the field that Rust calls `ident`.
pub(crate) fn constant_name(ident: &Ident) -> Ident {
    let name = ident.unraw().to_string().to_uppercase();
    format_ident!("{name}", span = ident.span())
}

impl Field {
    pub(super) fn parse(field: &syn::Field, entity: &Options) -> Result<Option<Self>> {
        let Some(ident) = field.ident.clone() else {
            return Ok(None);
        };
        let options = FieldOptions::parse(&field.attrs, &ident)?;
        let words = ident.unraw().to_string();
        let column = match (&options.rename, entity.rename_all) {
            (Some(name), _) => name.clone(),
            (None, Some(case)) => case.convert(LetterCase::Snake, &words),
            (None, None) => words,
        };
        Ok(Some(Self {
            ident,
            ty: field.ty.clone(),
            column,
            options,
            visibility: field.vis.clone(),
        }))
    }

    /// How it is read from a row.
    pub(super) fn reader(&self) -> Result<from_row::Field> {
        from_row::Field::column(&self.ident, &self.ty, &self.column, self.options.json)
    }

    /// The type of the column, which of JSON is not that of the field.
    pub(super) fn column_type(&self, root: &Path) -> TokenStream {
        let ty = &self.ty;
        let span = span_of(ty);
        match (self.options.json, option_of(ty)) {
            (false, _) => quote!(#ty),
            (true, None) => quote_spanned!(span=> #root::types::Json<#ty>),
            (true, Some(inner)) => {
                quote_spanned!(span=> ::core::option::Option<#root::types::Json<#inner>>)
            }
        }
    }

    /// `pub const EMAIL: Col<User, String>`.
    pub(super) fn constant(&self, root: &Path) -> TokenStream {
        let Self {
            column, visibility, ..
        } = self;
        let (name, ty) = (constant_name(&self.ident), self.column_type(root));
        let doc = format!("The column `{column}`.");
        quote! {
            #[doc = #doc]
            #visibility const #name: #root::entity::Col<Self, #ty> =
                #root::entity::Col::new(#column);
        }
    }

    /// Its part of the struct that `insert!` finds columns in.
    pub(super) fn member(&self, root: &Path, entity: &Ident) -> (TokenStream, TokenStream) {
        let Self {
            ident, visibility, ..
        } = self;
        let (name, ty) = (constant_name(ident), self.column_type(root));
        (
            quote!(#visibility #ident: #root::entity::Col<#entity, #ty>),
            quote!(#ident: #entity::#name),
        )
    }

    /// What is known of the column at run time; `flags` are names of constants.
    pub(super) fn metadata(&self, root: &Path, flags: &[&str]) -> TokenStream {
        let (field, column) = (self.ident.unraw().to_string(), &self.column);
        let ty = self.column_type(root);
        let flags = flags.iter().map(|flag| format_ident!("{flag}"));
        let span = span_of(&self.ty);
        let root = moved(root, span);
        quote_spanned! {span=>
            #root::entity::ColumnMeta::of::<#ty>(#field, #column)#(.#flags())*
        }
    }

    /// Hands the value over for an INSERT or UPDATE.
    pub(super) fn push_value(&self) -> TokenStream {
        let ident = &self.ident;
        let span = span_of(&self.ty);
        match (self.options.json, option_of(&self.ty)) {
            (false, _) => quote_spanned!(span=> into.push(&self.#ident);),
            (true, None) => quote_spanned!(span=> into.push_json(&self.#ident);),
            (true, Some(_)) => quote_spanned!(span=> into.push_optional_json(&self.#ident);),
        }
    }
}

/// The fields of `struct`, none of which has the column or constant of another.
pub(super) fn all(data: &syn::DataStruct, entity: &Options, name: &Ident) -> Result<Vec<Field>> {
    let syn::Fields::Named(named) = &data.fields else {
        let message = "an entity's columns have the names of its fields: give it named fields";
        return Err(Error::new(name.span(), message));
    };
    let mut fields: Vec<Field> = Vec::new();
    for field in &named.named {
        let Some(field) = Field::parse(field, entity)? else {
            continue;
        };
        if fields.iter().any(|other| other.column == field.column) {
            let message = format!("another field has the column `{}`", field.column);
            return Err(Error::new(field.ident.span(), message));
        }
        fields.push(field);
    }
    if fields.is_empty() {
        let message = "an entity has columns: give the struct a field";
        return Err(Error::new(name.span(), message));
    }
    for relation in entity
        .relations
        .iter()
        .chain(fields.iter().flat_map(|field| &field.options.relations))
    {
        let taken = fields
            .iter()
            .any(|field| constant_name(&field.ident) == relation.name);
        if taken {
            let message = format!(
                "a column is called `{}` already: give the relation another name",
                relation.name
            );
            return Err(Error::new(relation.name.span(), message));
        }
    }
    Ok(fields)
}

/// A check of the field's type that costs nothing at run time; errors point to the type.
pub(super) fn assertion(root: &Path, field: &Field, check: &str) -> TokenStream {
    let check = format_ident!("{check}");
    let ty = &field.ty;
    let span = located(ty.span());
    let root = moved(root, span);
    quote_spanned! {span=>
        const _: () = #root::entity::check::#check::<#ty>();
    }
}
