use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, Ident, Path, Result, Type, parse_quote};

use crate::attributes::{crate_root, parse_options};
use crate::entity::{ATTRIBUTE, constant_name, entity_of};
use crate::from_row::{self, option_of};
use crate::shape::{located, moved};
use crate::suggest;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let options = Options::parse(input)?;
    let fields = fields(input, &options)?;
    let (root, name) = (&options.root, &input.ident);
    let readers = fields
        .iter()
        .map(|field| from_row::Field::column(&field.ident, &field.ty, &field.name(), false))
        .collect::<Result<Vec<_>>>()?;
    let from_row = from_row::implement(root, name, &input.generics, &readers);
    let places: Vec<Ident> = (0..fields.len())
        .map(|number| format_ident!("I{number}"))
        .collect();
    let bounds = fields.iter().zip(&places).map(|(field, place)| {
        let entity = &field.entity;
        match option_of(&field.ty) {
            Some(_) => quote!(#entity: #root::entity::In<S, #place>),
            None => quote! {
                #entity: #root::entity::In<S, #place, Side = #root::entity::Always>
            },
        }
    });
    let items = fields.iter().map(|field| field.item(root));
    Ok(quote! {
        const _: () = {
            #from_row

            #[automatically_derived]
            impl<S, #(#places),*> #root::entity::Projection<S, (#(#places,)*)> for #name
            where
                #(#bounds,)*
            {
                fn items(into: &mut #root::entity::Items) {
                    #(#items)*
                }
            }
        };
    })
}

/// What `#[entity(…)]` says about the struct.
struct Options {
    root: Path,
    of: Option<Path>,
}

impl Options {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let mut options = Self {
            root: parse_quote!(::aquifer),
            of: None,
        };
        parse_options(ATTRIBUTE, &input.attrs, |meta| {
            if meta.path.is_ident("of") {
                options.of = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("crate") {
                options.root = crate_root(&meta)?;
            } else {
                let given = meta.path.get_ident().map(ToString::to_string);
                let hint = suggest::did_you_mean(&given.unwrap_or_default(), ["of", "crate"]);
                let text = format!("unknown option: a projection knows `of` and `crate`{hint}");
                return Err(meta.error(text));
            }
            Ok(())
        })?;
        Ok(options)
    }
}

/// One field and the column that it is read from.
struct Field {
    ident: Ident,
    ty: Type,
    column: Path,
    entity: Path,
    /// Where the column is named: by the attribute, or by the field's name.
    place: Span,
}

fn fields(input: &DeriveInput, options: &Options) -> Result<Vec<Field>> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "a projection has no parameters",
        ));
    }
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), "a projection is a struct"));
    };
    let Fields::Named(named) = &data.fields else {
        let message = "a projection has named fields; without names select a tuple";
        return Err(Error::new(input.ident.span(), message));
    };
    let fields = named.named.iter().filter_map(|field| {
        let ident = field.ident.clone()?;
        Some((ident, field))
    });
    fields
        .map(|(ident, field)| {
            let mut column: Option<Path> = None;
            parse_options(ATTRIBUTE, &field.attrs, |meta| {
                if meta.path.is_ident("column") {
                    column = Some(meta.value()?.parse()?);
                    return Ok(());
                }
                Err(meta.error("unknown option: a field of a projection knows `column`"))
            })?;
            let place = located(column.as_ref().map_or_else(|| ident.span(), Spanned::span));
            let (column, entity) = match (column, &options.of) {
                (Some(column), _) => {
                    let entity = entity_of(&column)?;
                    (column, entity)
                }
                (None, Some(of)) => {
                    let name = constant_name(&ident);
                    (parse_quote!(#of::#name), of.clone())
                }
                (None, None) => {
                    let message = "name the column, as in #[entity(column = User::ID)], or at the \
                                   struct the entity that has it: #[entity(of = User)]";
                    return Err(Error::new(ident.span(), message));
                }
            };
            Ok(Field {
                ident,
                ty: field.ty.clone(),
                column,
                entity,
                place,
            })
        })
        .collect()
}

impl Field {
    fn name(&self) -> String {
        self.ident.unraw().to_string()
    }

    /// The statement that adds the column, and compares its type with that of the field.
    fn item(&self, root: &Path) -> TokenStream {
        let Self { ty, column, .. } = self;
        let (name, span) = (self.name(), located(ty.span()));
        let root = moved(root, span);
        let column = moved(column, self.place);
        let method = match option_of(ty) {
            Some(_) => quote_spanned!(span=> optional::<#ty, _, _>),
            None => quote_spanned!(span=> exact::<#ty, _>),
        };
        quote_spanned!(span=> #root::entity::Items::#method(into, #column, #name);)
    }
}
