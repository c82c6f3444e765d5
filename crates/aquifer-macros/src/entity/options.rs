use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Ident, LitStr, Path, Result, Token, parenthesized, parse_quote};

use super::relation::Relation;
use crate::attributes::{check_name, crate_root, parse_options};
use crate::letter_case::LetterCase;
use crate::suggest;

/// The attribute of entities and projections.
pub(crate) const ATTRIBUTE: &str = "entity";

/// What users of other libraries write, and what it is called here.
const ELSEWHERE: [(&str, &str); 8] = [
    ("pk", "key"),
    ("primary_key", "key"),
    ("id", "key"),
    ("generated", "auto"),
    ("autoincrement", "auto"),
    ("column", "rename"),
    ("name", "rename"),
    ("table_name", "table"),
];

/// The name of a table, with its schema if it was given.
pub(super) struct Table {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

/// What `#[entity(…)]` says about the struct.
pub(super) struct Options {
    /// Where the module `entity` is found.
    pub(super) root: Path,
    pub(super) table: Table,
    pub(super) rename_all: Option<LetterCase>,
    pub(super) soft_delete: Option<Ident>,
    pub(super) version: Option<Ident>,
    pub(super) key: Vec<Ident>,
    pub(super) relations: Vec<Relation>,
}

impl Options {
    const KNOWN: [&str; 7] = [
        "table",
        "key",
        "rename_all",
        "soft_delete",
        "version",
        "has_many",
        "crate",
    ];

    pub(super) fn parse(attributes: &[Attribute], name: &Ident) -> Result<Self> {
        let mut table = None;
        let mut options = Self {
            root: parse_quote!(::aquifer),
            table: Table {
                schema: None,
                name: String::new(),
            },
            rename_all: None,
            soft_delete: None,
            version: None,
            key: Vec::new(),
            relations: Vec::new(),
        };
        parse_options(ATTRIBUTE, attributes, |meta| {
            let Some(option) = meta.path.get_ident().map(ToString::to_string) else {
                return Err(unknown(&meta, "an entity", &Self::KNOWN));
            };
            match option.as_str() {
                "table" => table = Some(Table::parse(&meta.value()?.parse()?)?),
                "rename_all" => {
                    options.rename_all = Some(LetterCase::parse(&meta.value()?.parse()?)?);
                }
                "soft_delete" => options.soft_delete = Some(meta.value()?.parse()?),
                "version" => options.version = Some(meta.value()?.parse()?),
                "key" => options.key = idents(&meta)?,
                "has_many" => options.relations.extend(Relation::has_many(&meta)?),
                "crate" => options.root = crate_root(&meta)?,
                _ => return Err(unknown(&meta, "an entity", &Self::KNOWN)),
            }
            Ok(())
        })?;
        let missing = || {
            let message = "an entity names its table: #[entity(table = \"users\")], or \
                           \"schema.users\"";
            Error::new(name.span(), message)
        };
        options.table = table.ok_or_else(missing)?;
        Ok(options)
    }
}

impl Table {
    fn parse(text: &LitStr) -> Result<Self> {
        let value = text.value();
        let (schema, name) = match value.split_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
            None => (None, value),
        };
        if name.contains('.') {
            let message = "a table is named as \"table\" or \"schema.table\"";
            return Err(Error::new(text.span(), message));
        }
        for part in schema.iter().chain([&name]) {
            check_name(part, text.span())?;
        }
        Ok(Self { schema, name })
    }
}

/// What `#[entity(…)]` says about a field.
#[derive(Default)]
pub(super) struct FieldOptions {
    pub(super) key: bool,
    pub(super) auto: bool,
    pub(super) default: bool,
    pub(super) json: bool,
    pub(super) rename: Option<String>,
    pub(super) relations: Vec<Relation>,
}

impl FieldOptions {
    const KNOWN: [&str; 6] = ["key", "auto", "default", "json", "rename", "belongs_to"];

    pub(super) fn parse(attributes: &[Attribute], field: &Ident) -> Result<Self> {
        let mut options = Self::default();
        parse_options(ATTRIBUTE, attributes, |meta| {
            let option = meta.path.get_ident().map(ToString::to_string);
            match option.as_deref() {
                Some("key") => options.key = true,
                Some("auto") => options.auto = true,
                Some("default") => options.default = true,
                Some("json") => options.json = true,
                Some("rename") => {
                    let name: LitStr = meta.value()?.parse()?;
                    check_name(&name.value(), name.span())?;
                    options.rename = Some(name.value());
                }
                Some("belongs_to") => options.relations.push(Relation::belongs_to(&meta, field)?),
                Some("soft_delete" | "version") => {
                    let option = option.unwrap_or_default();
                    let message = format!(
                        "`{option}` is written at the struct: #[entity({option} = {})]",
                        field.unraw()
                    );
                    return Err(meta.error(message));
                }
                _ => return Err(unknown(&meta, "a field", &Self::KNOWN)),
            }
            Ok(())
        })?;
        if options.auto && options.default {
            let message = "a column is `auto` (the database always fills it) or `default` (it does \
                           where no value is given), not both";
            return Err(Error::new(field.span(), message));
        }
        Ok(options)
    }
}

/// `(a, b)` behind the name of an option.
fn idents(meta: &ParseNestedMeta<'_>) -> Result<Vec<Ident>> {
    if !meta.input.peek(syn::token::Paren) {
        let message = "name the fields of the key: #[entity(key(order_id, product_id))]; a key of \
                       one field is written at the field: #[entity(key)]";
        return Err(meta.error(message));
    }
    let content;
    parenthesized!(content in meta.input);
    let idents = content.parse_terminated(Ident::parse_any, Token![,])?;
    Ok(idents.into_iter().collect())
}

fn unknown(meta: &ParseNestedMeta<'_>, of: &str, known: &[&str]) -> Error {
    let given = meta.path.get_ident().map(ToString::to_string);
    let given = given.unwrap_or_default();
    let elsewhere = ELSEWHERE
        .iter()
        .find(|(other, ours)| *other == given && known.contains(ours))
        .map(|(_, ours)| format!("; did you mean `{ours}`?"));
    let hint = elsewhere.unwrap_or_else(|| suggest::did_you_mean(&given, known.iter().copied()));
    let known = known.join("`, `");
    meta.error(format!(
        "unknown option `{given}`: {of} knows `{known}`{hint}"
    ))
}
