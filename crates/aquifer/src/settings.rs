//! Settings that hold for each statement of one handle, such as the tenant whose rows it may see.

use std::fmt;
use std::sync::Arc;

use crate::statement::Prepared;
use crate::{Error, ErrorKind};

/// Longest name that is taken; PostgreSQL cuts identifiers there.
const NAME_MAX: usize = 63;

/// Transaction-local settings, in the order of their names.
///
/// Two are equal when their names and values are: so they can be part of the key of whatever is
/// derived from a statement's result.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Settings(Arc<Inner>);

#[derive(PartialEq, Eq, Hash)]
struct Inner {
    /// Names and values by turns, as the statement takes them.
    values: Vec<String>,
    sql: String,
}

impl Settings {
    /// Those of `base`, if there are any, with these set over them.
    pub(crate) fn over(
        base: Option<&Self>,
        added: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Option<Self>, Error> {
        let mut pairs: Vec<(String, String)> = base.map(Self::pairs).unwrap_or_default();
        let mut seen = Vec::new();
        for (name, value) in added {
            // PostgreSQL does not tell their case apart.
            let name = name.to_ascii_lowercase();
            check(&name, &value)?;
            if seen.contains(&name) {
                return Err(refused(&name, "is given twice; give it once"));
            }
            pairs.retain(|(known, _)| *known != name);
            seen.push(name.clone());
            pairs.push((name, value));
        }
        pairs.sort();
        if pairs.is_empty() {
            return Ok(None);
        }
        let calls: Vec<_> = (0..pairs.len())
            .map(|index| {
                let (name, value) = (2 * index + 1, 2 * index + 2);
                format!("pg_catalog.set_config(${name}, ${value}, true)")
            })
            .collect();
        let inner = Inner {
            values: pairs.into_iter().flat_map(<[String; 2]>::from).collect(),
            sql: format!("select {}", calls.join(", ")),
        };
        Ok(Some(Self(Arc::new(inner))))
    }

    /// The statement that sets them until the transaction, or its Sync, ends.
    pub(crate) fn statement(&self) -> Prepared<'_> {
        (&self.0.sql, &self.0.values)
    }

    /// Bytes that differ where the settings do.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.0.values {
            bytes.extend(part.len().to_le_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }

    fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.0.values.chunks_exact(2);
        pairs
            .filter_map(|pair| <[String; 2]>::try_from(pair.to_vec()).ok())
            .map(|[name, value]| (name, value))
            .collect()
    }
}

/// Takes names of custom settings, and `role`. Others change what names mean (`search_path`) or how
/// values look, which is learned once for all sessions.
fn check(name: &str, value: &str) -> Result<(), Error> {
    let is_part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(&byte))
    };
    let is_custom = name.contains('.') && name.split('.').all(is_part);
    if !(is_custom || name == "role") || name.len() > NAME_MAX {
        return Err(refused(
            name,
            "can't be set by `with_settings`, which takes `role` and names of the form \
             `prefix.name` of ASCII letters, digits and `_`, at most 63 bytes; for others use a \
             transaction and SET LOCAL",
        ));
    }
    if value.contains('\0') {
        return Err(refused(
            name,
            "has a value with a NUL, which PostgreSQL can't hold",
        ));
    }
    Ok(())
}

fn refused(name: &str, problem: &str) -> Error {
    // The name may be a value that was put in the wrong place; control characters stay out.
    Error::new(ErrorKind::Usage, format!("the setting {name:?} {problem}"))
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values stay out.
        let names = self.0.values.iter().step_by(2);
        formatter.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        let owned = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::over(None, owned)
    }

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        let good = ["app.tenant", "a.b.c", "_x.y$1", "role", "App.Tenant"];
        for name in good {
            assert!(settings(&[(name, "1")]).is_ok(), "{name}");
        }
        let long = format!("app.{}", "x".repeat(60));
        let bad = [
            "",
            "tenant",
            "search_path",
            "app.",
            ".app",
            "app..x",
            "app.te nant",
            "app.x'",
            "1a.b",
            "app.\u{e4}",
            "roles",
            "app.x\0",
            &long,
        ];
        for name in bad {
            let error = settings(&[(name, "1")]).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
        }
        let error = settings(&[("app.x", "sec\0ret")]).expect_err("a NUL");
        assert!(!error.to_string().contains("sec"), "{error}");
        assert!(settings(&[("app.x", "1"), ("App.X", "2")]).is_err());
    }

    #[test]
    fn equal_settings_are_one_key_whatever_their_order_and_others_are_not() {
        let of = |pairs: &[(&str, &str)]| settings(pairs).expect("names that are taken");
        let one = of(&[("app.a", "1"), ("app.b", "2")]);
        assert_eq!(one, of(&[("APP.B", "2"), ("app.a", "1")]));
        assert_ne!(one, of(&[("app.a", "2"), ("app.b", "1")]));
        assert_ne!(one, of(&[("app.a", "1")]));
        assert_eq!(of(&[]), None);
        let added = [("app.b".to_owned(), "2".to_owned())];
        let base = of(&[("app.a", "1"), ("app.b", "9")]);
        let over = Settings::over(base.as_ref(), added).expect("names that are taken");
        assert_eq!(over, one);
    }

    #[test]
    fn the_values_are_parameters_and_stay_out_of_debug() {
        let settings = settings(&[("app.a", "secret"), ("app.b", "2")]);
        let settings = settings.ok().flatten().expect("two settings");
        let (sql, params) = settings.statement();
        assert_eq!(
            sql,
            "select pg_catalog.set_config($1, $2, true), pg_catalog.set_config($3, $4, true)"
        );
        assert_eq!(params.count(), 4);
        assert_eq!(format!("{settings:?}"), r#"{"app.a", "app.b"}"#);
    }
}
