mod field;
mod options;
#[cfg(test)]
mod tests;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{
    Data, DeriveInput, Error, Fields, GenericParam, Generics, Path, Result, Type, parse_quote,
};

use self::field::Source;
pub(crate) use self::field::{Field, option_of};
use crate::attributes::Container;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::parse(&input.attrs)?;
    if let Some(transparent) = &container.transparent {
        let message = "a struct that is read from a row is not transparent; derive `Decode` to \
                       read it from a column";
        return Err(Error::new(transparent.span(), message));
    }
    let fields = fields(input, &container)?;
    let generics = with_bounds(&input.generics, &container.root, &fields);
    let implementation = implement(&container.root, &input.ident, &generics, &fields);
    Ok(quote!(const _: () = { #implementation };))
}

/// The implementation of `FromRow`, with the aliases that it uses, for the inside of a block.
pub(crate) fn implement(
    root: &Path,
    name: &syn::Ident,
    generics: &Generics,
    fields: &[Field],
) -> TokenStream {
    let of = name.to_string();
    let resolve = resolve(root, &of, fields);
    let read = fields.iter().map(|field| field.read(root, &of));
    let (implementation, types, condition) = generics.split_for_impl();
    quote! {
        type __Json<T> = #root::types::Json<T>;
        type __Result<T> = ::core::result::Result<T, #root::row::Error>;

        #[automatically_derived]
        impl #implementation #root::row::FromRow for #name #types #condition {
            fn resolve(
                columns: &#root::row::Columns,
                mapping: &mut #root::row::Mapping,
            ) -> __Result<()> {
                #resolve
            }

            fn read(row: &mut #root::row::RowReader<'_>) -> __Result<Self> {
                ::core::result::Result::Ok(Self { #(#read,)* })
            }
        }
    }
}

/// The body of `resolve`: one call where each field has a column, which is checked faster by the
/// compiler than a call for each.
fn resolve(root: &Path, of: &str, fields: &[Field]) -> TokenStream {
    let named: Option<Vec<_>> = fields.iter().map(Field::named_column).collect();
    if let Some(named) = named {
        let pairs = named
            .iter()
            .map(|(field, column)| quote!((#field, #column)));
        return quote!(#root::row::Mapping::columns(mapping, columns, #of, &[#(#pairs),*]));
    }
    let resolve = fields.iter().map(|field| field.resolve(root, of));
    quote! {
        #(#resolve)*
        ::core::result::Result::Ok(())
    }
}

/// The fields of the struct, if it can be read from a row at all.
fn fields(input: &DeriveInput, container: &Container) -> Result<Vec<Field>> {
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(data) => {
            let message = "a row can't be read into an enum; derive `Decode` to read it from a \
                           column, or read a struct that has it as a field";
            return Err(Error::new(data.enum_token.span(), message));
        }
        Data::Union(data) => {
            let message = "a row can't be read into a union; use a struct";
            return Err(Error::new(data.union_token.span(), message));
        }
    };
    let fields = match fields {
        Fields::Named(named) => field::named(&named.named, container)?,
        Fields::Unnamed(unnamed) => field::by_position(&unnamed.unnamed)?,
        Fields::Unit => Vec::new(),
    };
    // After the fields, whose types tell better where the borrowed value is.
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new(lifetime.span(), field::BORROWED));
    }
    if fields.iter().all(|field| field.source == Source::Skip) {
        let message = "nothing is read from a row into it: give the struct a field";
        return Err(Error::new(input.ident.span(), message));
    }
    Ok(fields)
}

/// The generics with what the fields' types must be able to, where that depends on them.
fn with_bounds(generics: &Generics, root: &Path, fields: &[Field]) -> Generics {
    let mut generics = generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|of| of.ident.clone()).collect();
    let is_generic =
        |ty: &Type| mentions(ty.to_token_stream(), &|token| parameters.contains(token));
    let bounds: Vec<_> = fields
        .iter()
        .filter(|field| is_generic(&field.ty))
        .flat_map(|field| field.bounds(root))
        .collect();
    for parameter in &mut generics.params {
        if let GenericParam::Type(parameter) = parameter {
            parameter.bounds.push(parse_quote!('static));
        }
    }
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    generics
}

/// Whether an identifier that `is` accepts occurs anywhere.
fn mentions(tokens: TokenStream, is: &impl Fn(&syn::Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => is(&ident),
        TokenTree::Group(group) => mentions(group.stream(), is),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
