use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{DeriveInput, Result, parse_quote};

use crate::attributes::Container;
use crate::shape::{CompositeField, Label, Shape, span_of};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let container = Container::parse(&input.attrs)?;
    let root = &container.root;
    let body = match Shape::of(input, &container)? {
        Shape::Enum(labels) => {
            let arms = labels
                .iter()
                .map(|Label { variant, label }| quote!(Self::#variant => #label));
            quote! {
                let label = match self { #(#arms,)* };
                #root::types::derive::encode_label::<Self>(label, ty, out)
            }
        }
        Shape::Transparent(member, ty) => quote_spanned! {span_of(&ty)=>
            #root::types::Encode::encode(&self.#member, ty, out)
        },
        Shape::Composite(fields) => {
            let values = fields.iter().map(|CompositeField { ident, ty, name }| {
                quote_spanned!(span_of(ty)=> (#name, &self.#ident as &dyn #root::types::Encode))
            });
            quote!(#root::types::derive::encode_composite::<Self>(&[#(#values),*], ty, out))
        }
    };
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#root::types::Encode));
    }
    let (implementation, types, condition) = generics.split_for_impl();
    let name = &input.ident;
    // Of generic types it is not known whether they can be kept in a value.
    let into_value = input.generics.params.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl #root::types::IntoValue for #name {
                fn into_value(self) -> #root::types::Value {
                    #root::types::Value::new(self)
                }
            }
        }
    });
    Ok(quote! {
        #into_value

        #[automatically_derived]
        impl #implementation #root::types::Encode for #name #types #condition {
            fn encode(
                &self,
                ty: &#root::types::Type,
                out: &mut #root::types::derive::Buffer,
            ) -> ::core::result::Result<#root::types::IsNull, #root::types::EncodeError> {
                #body
            }
        }
    })
}
