use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, LitStr, Path, Result, parse_quote};

use crate::letter_case::LetterCase;

/// PostgreSQL's own limit for names and labels, in bytes.
const NAME_MAX: usize = 63;

/// The attribute of the derives for values and rows.
pub(crate) const ATTRIBUTE: &str = "aquifer";

/// What `#[aquifer(…)]` says about an enum or a struct.
pub(crate) struct Container {
    /// Where the module `types` is found.
    pub(crate) root: Path,
    pub(crate) rename_all: Option<LetterCase>,
    pub(crate) transparent: Option<Path>,
}

impl Container {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut container = Self {
            root: parse_quote!(::aquifer),
            rename_all: None,
            transparent: None,
        };
        parse_options(ATTRIBUTE, attributes, |meta| {
            if meta.path.is_ident("crate") {
                container.root = crate_root(&meta)?;
            } else if meta.path.is_ident("rename_all") {
                let name: LitStr = meta.value()?.parse()?;
                container.rename_all = Some(LetterCase::parse(&name)?);
            } else if meta.path.is_ident("transparent") {
                container.transparent = Some(meta.path);
            } else {
                return Err(meta.error(
                    "unknown option; an enum or a struct knows `crate`, `rename_all` and \
                     `transparent`",
                ));
            }
            Ok(())
        })?;
        Ok(container)
    }
}

/// The path in `crate = "…"`.
pub(crate) fn crate_root(meta: &ParseNestedMeta<'_>) -> Result<Path> {
    let path: LitStr = meta.value()?.parse()?;
    // Not `path.parse()`: its tokens would count as written by the user, and lints would judge them.
    syn::parse_str(&path.value()).map_err(|error| Error::new(path.span(), error))
}

/// Refuses what PostgreSQL would cut off or refuse as the name of a table or a column.
pub(crate) fn check_name(name: &str, span: Span) -> Result<()> {
    if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
        let message = format!("a name has 1 to {NAME_MAX} bytes, none of them NUL");
        return Err(Error::new(span, message));
    }
    Ok(())
}

/// What `#[aquifer(…)]` says about a variant or a field.
#[derive(Default)]
pub(crate) struct Member {
    rename: Option<LitStr>,
}

impl Member {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut member = Self::default();
        parse_options(ATTRIBUTE, attributes, |meta| {
            if member.take(&meta)? {
                return Ok(());
            }
            Err(meta.error("unknown option; a variant or a field knows `rename`"))
        })?;
        Ok(member)
    }

    /// Takes an option if it is one of those that every member knows.
    pub(crate) fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool> {
        if !meta.path.is_ident("rename") {
            return Ok(false);
        }
        let name: LitStr = meta.value()?.parse()?;
        if name.value().is_empty() || name.value().len() > NAME_MAX {
            return Err(Error::new(name.span(), "a name has 1 to 63 bytes"));
        }
        self.rename = Some(name);
        Ok(true)
    }

    /// The name in PostgreSQL of what Rust calls `ident`, whose words are in `from`.
    pub(crate) fn name(
        &self,
        ident: &syn::Ident,
        from: LetterCase,
        to: Option<LetterCase>,
    ) -> String {
        // A raw identifier's `r#` is no part of the name.
        let ident = ident.to_string();
        let ident = ident.strip_prefix("r#").unwrap_or(&ident);
        match (&self.rename, to) {
            (Some(name), _) => name.value(),
            (None, Some(to)) => to.convert(from, ident),
            (None, None) => ident.to_owned(),
        }
    }

    /// Refuses every option, where none has a meaning.
    pub(crate) fn expect_none(&self, why: &str) -> Result<()> {
        match &self.rename {
            Some(name) => Err(Error::new(name.span(), why)),
            None => Ok(()),
        }
    }
}

/// Hands over what stands in each `#[name(…)]`.
pub(crate) fn parse_options(
    name: &str,
    attributes: &[Attribute],
    mut option: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident(name) {
            attribute
                .parse_nested_meta(&mut option)
                .map_err(|error| located(error, attribute))?;
        }
    }
    Ok(())
}

/// An error about the end of the attribute has no place of its own; give it the attribute's.
fn located(error: Error, attribute: &Attribute) -> Error {
    if error.to_string().starts_with("unexpected end of input") {
        return Error::new(attribute.span(), error);
    }
    error
}
