use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    DeriveInput, GenericParam, Generics, Lifetime, LifetimeParam, Path, Result, parse_quote,
};

use crate::attributes::Container;
use crate::shape::{CompositeField, Label, Shape, span_of};

/// The lifetime of the row; no struct is likely to have one of the same name.
const ROW: &str = "'aquifer_row";

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::parse(&input.attrs)?;
    let root = &container.root;
    let body = match Shape::of(input, &container)? {
        Shape::Enum(labels) => decode_enum(root, &labels),
        Shape::Transparent(member, ty) => quote_spanned! {span_of(&ty)=>
            fn decode(ty: &#root::types::Type, raw: &'aquifer_row [u8]) -> __Result<Self> {
                #root::types::Decode::decode(ty, raw).map(|value| Self { #member: value })
            }

            fn decode_null(ty: &#root::types::Type) -> __Result<Self> {
                #root::types::Decode::decode_null(ty).map(|value| Self { #member: value })
            }
        },
        Shape::Composite(fields) => decode_composite(root, &fields),
    };
    let row = Lifetime::new(ROW, input.ident.span());
    let generics = with_row(&input.generics, root, &row);
    let (implementation, _, condition) = generics.split_for_impl();
    let (plain, types, plain_condition) = input.generics.split_for_impl();
    let name = &input.ident;
    Ok(quote! {
        const _: () = {
            type __Result<T> = ::core::result::Result<T, #root::types::DecodeError>;

            #[automatically_derived]
            impl #implementation #root::types::Decode<#row> for #name #types #condition {
                #body
            }

            #[automatically_derived]
            impl #plain #root::types::NotNull for #name #types #plain_condition {}
        };
    })
}

fn decode_enum(root: &Path, labels: &[Label]) -> TokenStream {
    let arms = labels.iter().map(
        |Label { variant, label }| quote!(#label => ::core::result::Result::Ok(Self::#variant)),
    );
    let all = labels.iter().map(|label| &label.label);
    quote! {
        fn decode(ty: &#root::types::Type, raw: &'aquifer_row [u8]) -> __Result<Self> {
            match #root::types::derive::decode_label::<Self>(ty, raw)? {
                #(#arms,)*
                _ => ::core::result::Result::Err(
                    #root::types::derive::unknown_label::<Self>(ty, &[#(#all),*])
                ),
            }
        }
    }
}

fn decode_composite(root: &Path, fields: &[CompositeField]) -> TokenStream {
    let fields = fields.iter().map(|CompositeField { ident, ty, name }| {
        quote_spanned!(span_of(ty)=> #ident: composite.field::<Self, _>(#name)?)
    });
    quote! {
        fn decode(ty: &#root::types::Type, raw: &'aquifer_row [u8]) -> __Result<Self> {
            let composite = #root::types::derive::Composite::split::<Self>(ty, raw)?;
            ::core::result::Result::Ok(Self { #(#fields,)* })
        }
    }
}

/// The generics with the row's lifetime, which outlives whatever the struct borrows.
fn with_row(generics: &Generics, root: &Path, row: &Lifetime) -> Generics {
    let mut generics = generics.clone();
    let mut parameter = LifetimeParam::new(row.clone());
    for borrowed in generics.lifetimes() {
        parameter.bounds.push(borrowed.lifetime.clone());
    }
    for parameter in generics.type_params_mut() {
        parameter
            .bounds
            .push(parse_quote!(#root::types::Decode<#row>));
    }
    generics.params.insert(0, GenericParam::Lifetime(parameter));
    generics
}
