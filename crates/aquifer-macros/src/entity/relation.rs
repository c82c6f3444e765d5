use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Error, Ident, Path, Result, Token, Visibility, parenthesized};

use crate::shape::{located, moved};

/// How rows of one table belong to rows of another: a constant of the entity.
pub(super) struct Relation {
    /// The constant's name.
    pub(super) name: Ident,
    /// The field on this side; of `has_many` the key.
    own: Option<Ident>,
    /// The other entity.
    other: Path,
    /// The constant of its column.
    column: Path,
}

impl Relation {
    /// `has_many(POSTS = Post::USER_ID, …)`.
    pub(super) fn has_many(meta: &ParseNestedMeta<'_>) -> Result<Vec<Self>> {
        named(meta, "has_many(POSTS = Post::USER_ID)")?
            .into_iter()
            .map(|(name, column)| Self::new(name, None, column))
            .collect()
    }

    /// `belongs_to = User::ID`, named as the field, or `belongs_to(AUTHOR = User::ID)`.
    pub(super) fn belongs_to(meta: &ParseNestedMeta<'_>, field: &Ident) -> Result<Self> {
        if !meta.input.peek(Token![=]) {
            let mut relations = named(meta, "belongs_to(AUTHOR = User::ID)")?.into_iter();
            return match (relations.next(), relations.next()) {
                (Some((name, column)), None) => Self::new(name, Some(field.clone()), column),
                _ => Err(meta.error("a field belongs to one entity")),
            };
        }
        let column = meta.value()?.parse()?;
        let words = field.unraw().to_string();
        let Some(name) = words.strip_suffix("_id").filter(|name| !name.is_empty()) else {
            let message = "the field's name does not end in `_id`, so name the relation: \
                           belongs_to(AUTHOR = User::ID)";
            return Err(meta.error(message));
        };
        let name = format_ident!("{}", name.to_uppercase(), span = field.span());
        Self::new(name, Some(field.clone()), column)
    }

    fn new(name: Ident, own: Option<Ident>, column: Path) -> Result<Self> {
        Ok(Self {
            name,
            own,
            other: entity_of(&column)?,
            column,
        })
    }

    /// The constant; `key` is the key's field if it is a single one.
    pub(super) fn constant(
        &self,
        root: &Path,
        visibility: &Visibility,
        key: Option<&Ident>,
    ) -> Result<TokenStream> {
        let Some(own) = self.own.as_ref().or(key) else {
            let message = "`has_many` needs a key of one column; write the join where it is needed: \
                           .join(Post::on(…))";
            return Err(Error::new(self.name.span(), message));
        };
        let own = super::constant_name(own);
        let Self {
            name,
            other,
            column,
            ..
        } = self;
        let doc = format!("The rows of `{}` that belong to a row.", path_text(other));
        // Errors about the column's type point to where it is named.
        let span = located(column.span());
        let (at, own) = (moved(root, span), moved(own, span));
        let value = quote_spanned! {span=> #at::entity::Relation::new(Self::#own, #column) };
        Ok(quote! {
            #[doc = #doc]
            #visibility const #name: #root::entity::Relation<Self, #other> = #value;
        })
    }
}

/// The entity of the constant `Post::USER_ID`.
pub(crate) fn entity_of(column: &Path) -> Result<Path> {
    let mut entity = column.clone();
    entity.segments.pop();
    // What is left ends in `::`.
    entity.segments.pop_punct();
    if entity.segments.is_empty() {
        let message = "name the column with its entity: Post::USER_ID";
        return Err(Error::new(column.span(), message));
    }
    Ok(entity)
}

fn path_text(path: &Path) -> String {
    let segments = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string());
    segments.collect::<Vec<_>>().join("::")
}

/// `(NAME = path, …)` behind the name of an option.
fn named(meta: &ParseNestedMeta<'_>, example: &str) -> Result<Vec<(Ident, Path)>> {
    if !meta.input.peek(syn::token::Paren) {
        return Err(meta.error(format!("name the relation and its column: {example}")));
    }
    let content;
    parenthesized!(content in meta.input);
    let pairs = content.parse_terminated(
        |input| {
            let name: Ident = input.parse()?;
            let _equals: Token![=] = input.parse()?;
            Ok((name, input.parse()?))
        },
        Token![,],
    )?;
    Ok(pairs.into_iter().collect())
}
