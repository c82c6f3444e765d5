use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Data, DataEnum, DataStruct, DeriveInput, Error, Fields, Ident, Index, Member, Result, Type,
};

use crate::attributes;
use crate::letter_case::LetterCase;

/// What a Rust type is to PostgreSQL.
pub(crate) enum Shape {
    /// An enum, by the labels of its variants.
    Enum(Vec<Label>),
    /// The same as the one field that it has: a domain, for example.
    Transparent(Member, Box<Type>),
    /// A composite type, by the names of its fields.
    Composite(Vec<CompositeField>),
}

pub(crate) struct Label {
    pub(crate) variant: Ident,
    pub(crate) label: String,
}

pub(crate) struct CompositeField {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) name: String,
}

/// Where errors about a field's type point, without passing generated code off as the user's: lints
/// go by that.
pub(crate) fn span_of(ty: &Type) -> Span {
    located(ty.span())
}

/// As [`span_of`], of anything.
pub(crate) fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// The tokens with another place: what `quote_spanned` inserts keeps its own, and an expression whose
/// parts have several places is shown as all that stands between them.
pub(crate) fn moved(tokens: impl ToTokens, span: Span) -> TokenStream {
    let tokens = tokens.into_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(span);
            token
        })
        .collect()
}

impl Shape {
    pub(crate) fn of(input: &DeriveInput, container: &attributes::Container) -> Result<Self> {
        match &input.data {
            Data::Enum(data) => labels(input, data, container),
            Data::Struct(data) => fields(input, data, container),
            Data::Union(_) => Err(Error::new(
                input.ident.span(),
                "a union has no form in PostgreSQL",
            )),
        }
    }
}

fn labels(
    input: &DeriveInput,
    data: &DataEnum,
    container: &attributes::Container,
) -> Result<Shape> {
    if let Some(transparent) = &container.transparent {
        return Err(Error::new(
            transparent.span(),
            "only a struct with one field is transparent",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new(input.ident.span(), "an enum needs a variant"));
    }
    let mut seen = HashSet::new();
    let labels = data.variants.iter().map(|variant| {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new(
                variant.fields.span(),
                "PostgreSQL's enums carry no data; store it as JSON, or use a composite type",
            ));
        }
        let member = attributes::Member::parse(&variant.attrs)?;
        let label = member.name(&variant.ident, LetterCase::Pascal, container.rename_all);
        if !seen.insert(label.clone()) {
            let message = format!("another variant has the label `{label}`");
            return Err(Error::new(variant.span(), message));
        }
        Ok(Label {
            variant: variant.ident.clone(),
            label,
        })
    });
    labels.collect::<Result<_>>().map(Shape::Enum)
}

fn fields(
    input: &DeriveInput,
    data: &DataStruct,
    container: &attributes::Container,
) -> Result<Shape> {
    match (&data.fields, &container.transparent) {
        (Fields::Unit, _) => Err(Error::new(input.ident.span(), "a struct needs a field")),
        (Fields::Unnamed(_), _) | (Fields::Named(_), Some(_)) => {
            transparent(input, data, container)
        }
        (Fields::Named(named), None) => {
            let mut seen = HashSet::new();
            let fields = named.named.iter().filter_map(|field| {
                let ident = field.ident.clone()?;
                Some((ident, field))
            });
            fields
                .map(|(ident, field)| {
                    let member = attributes::Member::parse(&field.attrs)?;
                    let name = member.name(&ident, LetterCase::Snake, container.rename_all);
                    if !seen.insert(name.clone()) {
                        let message = format!("another field has the name `{name}`");
                        return Err(Error::new(ident.span(), message));
                    }
                    Ok(CompositeField {
                        ident,
                        ty: field.ty.clone(),
                        name,
                    })
                })
                .collect::<Result<_>>()
                .map(Shape::Composite)
        }
    }
}

fn transparent(
    input: &DeriveInput,
    data: &DataStruct,
    container: &attributes::Container,
) -> Result<Shape> {
    let mut fields = data.fields.iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        let message = match &container.transparent {
            Some(_) => "a transparent struct has one field",
            None => "a composite type's fields are matched by name: name them, or keep one only",
        };
        return Err(Error::new(input.ident.span(), message));
    };
    attributes::Member::parse(&field.attrs)?
        .expect_none("the field of a transparent struct has no name in PostgreSQL")?;
    let member = match &field.ident {
        Some(ident) => Member::Named(ident.clone()),
        None => Member::Unnamed(Index::from(0)),
    };
    Ok(Shape::Transparent(member, Box::new(field.ty.clone())))
}
