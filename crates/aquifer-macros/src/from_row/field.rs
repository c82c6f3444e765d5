use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, GenericArgument, Index, Member, Path, PathArguments, Result, Token, Type,
    WherePredicate, parse_quote,
};

use super::options::Options;
use crate::attributes::Container;
use crate::shape::span_of;

pub(super) const BORROWED: &str = "a struct that is read from a row owns its values: use \
     `String`, `Vec<u8>` or another type that does not borrow";

/// One field and where its value comes from.
pub(crate) struct Field {
    pub(super) ty: Type,
    pub(super) source: Source,
    member: Member,
    default: bool,
    json: bool,
}

/// Where the value of a field comes from.
#[derive(PartialEq, Eq)]
pub(crate) enum Source {
    /// The column of that name.
    Column(String),
    /// The column at that position.
    Position(usize),
    /// Several columns, by the field's own type.
    Flatten,
    /// No column: its default.
    Skip,
}

type Members = Punctuated<syn::Field, Token![,]>;

pub(super) fn named(members: &Members, container: &Container) -> Result<Vec<Field>> {
    let mut seen = HashSet::new();
    let fields = members
        .iter()
        .filter_map(|of| Some((of.ident.clone()?, of)));
    fields
        .map(|(ident, of)| {
            let options = Options::of_named(&of.attrs)?;
            let source = match (options.skip, options.flatten) {
                (true, _) => Source::Skip,
                (_, true) => Source::Flatten,
                _ => Source::Column(options.column(&ident, container)),
            };
            if let Source::Column(name) = &source
                && !seen.insert(name.clone())
            {
                let message = format!("another field is read from the column `{name}`");
                return Err(Error::new(ident.span(), message));
            }
            Field::new(&of.ty, Member::Named(ident), source, &options)
        })
        .collect()
}

pub(super) fn by_position(members: &Members) -> Result<Vec<Field>> {
    let fields = members.iter().enumerate();
    fields
        .map(|(position, of)| {
            let options = Options::of_unnamed(&of.attrs)?;
            let member = Member::Unnamed(Index::from(position));
            Field::new(&of.ty, member, Source::Position(position), &options)
        })
        .collect()
}

impl Field {
    /// The field that Rust calls `ident`, read from the column `name`.
    pub(crate) fn column(ident: &syn::Ident, ty: &Type, name: &str, json: bool) -> Result<Self> {
        let mut options = Options::default();
        options.json = json;
        let source = Source::Column(name.to_owned());
        Self::new(ty, Member::Named(ident.clone()), source, &options)
    }

    fn new(ty: &Type, member: Member, source: Source, options: &Options) -> Result<Self> {
        let borrows = has_reference(ty.to_token_stream());
        if borrows && source != Source::Skip {
            return Err(Error::new(ty.span(), BORROWED));
        }
        Ok(Self {
            ty: ty.clone(),
            source,
            member,
            default: options.default,
            json: options.json,
        })
    }

    /// The names of the field and of its column, where it has one that must be there.
    pub(super) fn named_column(&self) -> Option<(String, &str)> {
        match &self.source {
            Source::Column(column) if !self.default => Some((self.name(), column)),
            _ => None,
        }
    }

    /// The statement that finds its columns.
    pub(super) fn resolve(&self, root: &Path, of: &str) -> TokenStream {
        let ty = &self.ty;
        let mapping = quote!(#root::row::Mapping);
        let field = self.name();
        match &self.source {
            Source::Column(name) if self.default => {
                quote!(#mapping::column_or_default(mapping, columns, #name);)
            }
            Source::Column(name) => {
                quote!(#mapping::column(mapping, columns, #of, #field, #name)?;)
            }
            Source::Position(position) => quote!(#mapping::position(mapping, #position);),
            Source::Flatten => {
                quote!(<#ty as #root::row::FromRow>::resolve(columns, mapping)?;)
            }
            Source::Skip => TokenStream::new(),
        }
    }

    /// The part of the struct expression that reads it.
    pub(super) fn read(&self, root: &Path, of: &str) -> TokenStream {
        let (member, ty) = (&self.member, &self.ty);
        let optional =
            |ty: &Type| quote_spanned!(span_of(ty)=> ::core::option::Option<__Json<#ty>>);
        let value = match (&self.source, self.json, option_of(ty)) {
            (Source::Skip, _, _) => quote!(::core::default::Default::default()),
            (Source::Flatten, _, _) => quote!(<#ty as #root::row::FromRow>::read(row)?),
            (_, false, _) => self.value(root, of, &quote!(#ty)),
            (_, true, Some(inner)) => {
                let value = self.value(root, of, &optional(inner));
                quote!(#value.map(|json| json.0))
            }
            (_, true, None) if self.default => {
                let value = self.value(root, of, &optional(ty));
                quote!(#value.map(|json| json.0).unwrap_or_default())
            }
            (_, true, None) => {
                let value = self.value(root, of, &quote_spanned!(span_of(ty)=> __Json<#ty>));
                quote!(#value.0)
            }
        };
        quote!(#member: #value)
    }

    fn value(&self, root: &Path, of: &str, ty: &TokenStream) -> TokenStream {
        let field = self.name();
        let reader = quote!(#root::row::RowReader);
        if self.default {
            quote!(#reader::value_or_default::<#ty>(row, #of, #field)?)
        } else {
            quote!(#reader::value::<#ty>(row, #of, #field)?)
        }
    }

    /// What its type must be able to.
    pub(super) fn bounds(&self, root: &Path) -> Vec<WherePredicate> {
        let ty = &self.ty;
        let decode = quote!(for<'row> #root::types::Decode<'row>);
        let default: WherePredicate = parse_quote!(#ty: ::core::default::Default);
        let json = option_of(ty).filter(|_| self.json);
        let reads = match (&self.source, json) {
            (Source::Skip, _) => return vec![default],
            (Source::Flatten, _) => parse_quote!(#ty: #root::row::FromRow),
            (_, Some(inner)) => return vec![parse_quote!(__Json<#inner>: #decode)],
            (_, None) if self.json => parse_quote!(__Json<#ty>: #decode),
            (_, None) => parse_quote!(#ty: #decode),
        };
        let default = self.default.then_some(default);
        [reads].into_iter().chain(default).collect()
    }

    /// What errors call it.
    fn name(&self) -> String {
        match &self.member {
            Member::Named(ident) => ident.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }
}

/// The `T` of an `Option<T>`, as far as the name tells.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else {
        return None;
    };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

fn has_reference(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punct) => punct.as_char() == '&',
        TokenTree::Group(group) => has_reference(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}
