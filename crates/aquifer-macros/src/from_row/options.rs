use syn::{Attribute, Error, Ident, Path, Result};

use crate::attributes::{ATTRIBUTE, Container, Member, parse_options};
use crate::letter_case::LetterCase;

/// What `#[aquifer(…)]` says about a field that is read from a row.
#[derive(Default)]
pub(super) struct Options {
    pub(super) default: bool,
    pub(super) flatten: bool,
    pub(super) json: bool,
    pub(super) skip: bool,
    member: Member,
}

impl Options {
    pub(super) fn of_named(attributes: &[Attribute]) -> Result<Self> {
        let names = ["default", "flatten", "json", "rename", "skip"];
        let unknown = "unknown option; a field knows `default`, `flatten`, `json`, `rename` and \
                       `skip`";
        Self::parse(attributes, &names, unknown)
    }

    pub(super) fn of_unnamed(attributes: &[Attribute]) -> Result<Self> {
        let unknown = "unknown option; a field without a name is read by its position and knows \
                       `json` only";
        Self::parse(attributes, &["json"], unknown)
    }

    fn parse(attributes: &[Attribute], names: &[&str], unknown: &str) -> Result<Self> {
        let mut options = Self::default();
        let mut given: Vec<Path> = Vec::new();
        parse_options(ATTRIBUTE, attributes, |meta| {
            if !names.iter().any(|name| meta.path.is_ident(name)) {
                return Err(meta.error(unknown));
            }
            if !options.member.take(&meta)? {
                options.default |= meta.path.is_ident("default");
                options.flatten |= meta.path.is_ident("flatten");
                options.json |= meta.path.is_ident("json");
                options.skip |= meta.path.is_ident("skip");
            }
            given.push(meta.path);
            Ok(())
        })?;
        for alone in ["skip", "flatten"] {
            let beside = given.iter().find(|path| !path.is_ident(alone));
            if let Some(beside) = beside
                && given.iter().any(|path| path.is_ident(alone))
            {
                let message = format!("`{alone}` stands alone: the field has no column of its own");
                return Err(Error::new_spanned(beside, message));
            }
        }
        Ok(options)
    }

    /// The column of the field that Rust calls `ident`.
    pub(super) fn column(&self, ident: &Ident, container: &Container) -> String {
        self.member
            .name(ident, LetterCase::Snake, container.rename_all)
    }
}
