//! Whether a function gives a `Result` or a future, as far as its signature says so.

use std::collections::BTreeMap;

use syn::{
    GenericArgument, PathArguments, PathSegment, ReturnType, Signature, Type, TypeParamBound,
};

/// Futures by the name of their type, and whether they give a `Result`.
pub(super) type NamedFutures = BTreeMap<String, bool>;

#[derive(Clone, Copy, Default)]
pub(super) struct Returned {
    pub(super) result: bool,
    pub(super) future: bool,
}

impl Returned {
    pub(super) fn of(signature: &Signature, futures: &NamedFutures) -> Self {
        let ReturnType::Type(_, given) = &signature.output else {
            return Self {
                result: false,
                future: signature.asyncness.is_some(),
            };
        };
        if signature.asyncness.is_some() {
            return Self {
                result: is_result(given),
                future: true,
            };
        }
        match future_with_result(given, futures) {
            Some(result) => Self {
                result,
                future: true,
            },
            None => Self {
                result: is_result(given),
                future: false,
            },
        }
    }
}

/// `Result<…>`, `io::Result<…>` and their like.
pub(super) fn is_result(given: &Type) -> bool {
    last_name(given).is_some_and(|name| name == "Result")
}

pub(super) fn last_name(given: &Type) -> Option<String> {
    last_segment(given).map(|segment| segment.ident.to_string())
}

fn last_segment(given: &Type) -> Option<&PathSegment> {
    match given {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// For a future, whether it gives a `Result`; `None` for all other types.
fn future_with_result(given: &Type, futures: &NamedFutures) -> Option<bool> {
    match given {
        Type::ImplTrait(opaque) => in_bounds(opaque.bounds.iter()),
        Type::TraitObject(object) => in_bounds(object.bounds.iter()),
        _ => {
            let segment = last_segment(given)?;
            let name = segment.ident.to_string();
            if let Some(result) = futures.get(&name) {
                return Some(*result);
            }
            match name.as_str() {
                "Box" | "Pin" => arguments(segment).find_map(|t| future_with_result(t, futures)),
                _ if name.ends_with("Future") => Some(arguments(segment).any(is_result)),
                _ => None,
            }
        }
    }
}

fn in_bounds<'a>(mut bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<bool> {
    bounds.find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let last = bound.path.segments.last()?;
            (last.ident == "Future").then(|| arguments(last).any(is_result))
        }
        _ => None,
    })
}

/// The types between `<` and `>`, those of `Output = …` among them.
fn arguments(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(generics) => Some(&generics.args),
        PathArguments::None | PathArguments::Parenthesized(_) => None,
    };
    arguments
        .into_iter()
        .flatten()
        .filter_map(|argument| match argument {
            GenericArgument::Type(given) => Some(given),
            GenericArgument::AssocType(associated) => Some(&associated.ty),
            _ => None,
        })
}
