//! What others write to the database, as its log tells: which tags that changes.
//!
//! The text is that of `test_decoding`, one line for each row; it names columns with their types and
//! values, and of an UPDATE that changes the key, or a DELETE, the old key too.

use super::tag;

/// What is known of a table whose rows were changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// Its bare name and those of the tables that it is a part of.
    pub(crate) names: Vec<String>,
    /// The column of its primary key, if there is one.
    pub(crate) key: Option<String>,
}

/// Rows of one table that one transaction changed.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) table: &'a Table,
    /// What stands behind the table's name in each line, and a space, as far as it was not cut off; none if
    /// there were too many.
    pub(crate) lines: Option<Vec<&'a str>>,
}

impl Changes<'_> {
    /// What depends on these rows.
    pub(crate) fn tags(&self) -> Vec<Box<str>> {
        let mut tags: Vec<Box<str>> = Vec::new();
        let keys = self.keys();
        for name in &self.table.names {
            tags.push(tag::of_table(name));
            match &keys {
                Some(keys) => tags.extend(keys.iter().map(|key| tag::of_row(name, key))),
                None => tags.push(tag::of_rows(name)),
            }
        }
        tags
    }

    /// The keys of all rows, as far as each can be told.
    fn keys(&self) -> Option<Vec<String>> {
        let (column, lines) = (self.table.key.as_deref()?, self.lines.as_ref()?);
        let mut keys = Vec::with_capacity(lines.len());
        for line in lines {
            for key in keys_of(line, column)? {
                if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        Some(keys)
    }
}

/// The names in a list such as `public.users, "My Schema"."a, b"`: schema and table of each.
pub(crate) fn tables_of(list: &str) -> Vec<(String, String)> {
    let mut tables = Vec::new();
    let mut rest = list;
    loop {
        let (schema, behind) = identifier(rest);
        let (name, behind) = match behind.strip_prefix('.') {
            Some(behind) => identifier(behind),
            None => (schema.clone(), behind),
        };
        if !name.is_empty() {
            tables.push((schema, name));
        }
        match behind.strip_prefix(", ") {
            Some(behind) => rest = behind,
            None => return tables,
        }
    }
}

/// One name, without its quotes, and what is behind it.
fn identifier(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        return unquoted(quoted, '"').unwrap_or_else(|| (quoted.to_owned(), ""));
    }
    let end = text.find(['.', ',', '[', ':']).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    (name.to_owned(), behind)
}

/// What stands before the closing quote, in which a doubled quote is one, and what is behind it; `None`
/// when the text ends before.
fn unquoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut content = String::new();
    let mut rest = text;
    loop {
        let (before, behind) = rest.split_once(quote)?;
        content.push_str(before);
        match behind.strip_prefix(quote) {
            Some(behind) => {
                content.push(quote);
                rest = behind;
            }
            None => return Some((content, behind)),
        }
    }
}

/// The keys that a row had and has; `None` where not all can be told: the line was cut off, the column is
/// not in it, or the server does not say which row it was.
fn keys_of(line: &str, column: &str) -> Option<Vec<String>> {
    let (kind, mut rest) = line.split_once(':')?;
    let mut wanted = match kind {
        "INSERT" | "UPDATE" | "DELETE" => 1,
        _ => return None,
    };
    let mut keys = Vec::new();
    while let Some(behind) = rest.strip_prefix(' ') {
        if let Some(behind) = behind.strip_prefix("old-key:") {
            wanted = 2;
            rest = behind;
            continue;
        }
        if let Some(behind) = behind.strip_prefix("new-tuple:") {
            rest = behind;
            continue;
        }
        let Some((name, value, behind)) = column_of(behind) else {
            break;
        };
        if name == column {
            keys.push(value?);
            if keys.len() == wanted {
                return Some(keys);
            }
        }
        rest = behind;
    }
    None
}

/// One column: its name, its value if it has one that is told, and what is behind it.
type Column<'a> = (String, Option<String>, &'a str);

fn column_of(text: &str) -> Option<Column<'_>> {
    let (name, behind) = identifier(text);
    let value = behind_type(behind.strip_prefix('[')?)?;
    if let Some(quoted) = value.strip_prefix('\'') {
        let (value, behind) = whole(unquoted(quoted, '\'')?)?;
        return Some((name, Some(value), behind));
    }
    if let Some(bits) = value.strip_prefix("B'") {
        let (value, behind) = whole(unquoted(bits, '\'')?)?;
        return Some((name, Some(value), behind));
    }
    let (value, behind) = value.split_at(value.find(' ')?);
    let told = !matches!(value, "null" | "unchanged-toast-datum");
    Some((name, told.then(|| value.to_owned()), behind))
}

/// A value behind which there is a space, as there is behind each; else it was cut off.
fn whole((value, behind): (String, &str)) -> Option<(String, &str)> {
    behind.starts_with(' ').then_some((value, behind))
}

/// What is behind `]:`, except within quotes, in which the name of a type may stand.
fn behind_type(text: &str) -> Option<&str> {
    let mut is_quoted = false;
    for (position, character) in text.char_indices() {
        match character {
            '"' => is_quoted = !is_quoted,
            ']' if !is_quoted => {
                let behind = text.get(position + 1..)?;
                if let Some(behind) = behind.strip_prefix(':') {
                    return Some(behind);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Changes, Table, keys_of, tables_of};

    fn keys(line: &str) -> Option<Vec<String>> {
        keys_of(&format!("{line} "), "id")
    }

    fn some(keys: &[&str]) -> Option<Vec<String>> {
        Some(keys.iter().map(|key| (*key).to_owned()).collect())
    }

    #[test]
    fn keys_are_found_in_whatever_stands_before_them() {
        let row = "INSERT: name[text]:'it''s id[integer]:7' tags[integer[]]:'{1,2}' b[bit varying]:B'1' \
                   \"My ]:Type\"[\"a]:b\".\"t\"]:'x' \"old-key:\"[text]:null id[integer]:42 z[text]:'y'";
        assert_eq!(keys(row), some(&["42"]));
        assert_eq!(keys("UPDATE: id[bigint]:1 name[text]:'x'"), some(&["1"]));
        let moved = "UPDATE: old-key: id[text]:'a b' new-tuple: id[text]:'it''s' name[text]:null";
        assert_eq!(keys(moved), some(&["a b", "it's"]));
        assert_eq!(keys("DELETE: id[bigint]:-1"), some(&["-1"]));
        let quoted = "DELETE: \"The \"\"Id\"[integer]:5 ";
        assert_eq!(keys_of(quoted, "The \"Id"), some(&["5"]));
    }

    #[test]
    fn what_can_not_be_told_is_not_guessed() {
        for line in [
            "",
            "DELETE: (no-tuple-data)",
            "INSERT: name[text]:'x'",
            "INSERT: name[text]:'cut off",
            "INSERT: id[bigint]:null",
            "UPDATE: id[text]:unchanged-toast-datum",
            "UPDATE: old-key: id[bigint]:1",
            "UPDATE: old-key: id[bigint]:1 new-tuple: name[text]:'cut",
            "TRUNCATE: (no-flags)",
            "MERGE: id[bigint]:1",
            "INSERT: id",
            "INSERT: id[",
        ] {
            assert_eq!(keys(line), None, "{line}");
        }
        // Cut off in the middle of the key, in each of the ways in which it is written.
        for line in [
            "DELETE: id[bigint]:12",
            "DELETE: id[text]:'it'",
            "DELETE: id[bit]:B'1'",
        ] {
            assert_eq!(keys_of(line, "id"), None, "{line}");
        }
    }

    #[test]
    fn names_are_read_without_their_quotes() {
        let table = |schema: &str, name: &str| (schema.to_owned(), name.to_owned());
        assert_eq!(tables_of("public.users"), [table("public", "users")]);
        let list = "public.a, \"My, Schema\".\"b.\"\"c\", public.d";
        let wanted = [
            table("public", "a"),
            table("My, Schema", "b.\"c"),
            table("public", "d"),
        ];
        assert_eq!(tables_of(list), wanted);
        assert_eq!(tables_of(""), []);
    }

    #[test]
    fn rows_that_are_not_known_stand_for_all() {
        let table = Table {
            names: vec!["users_1".into(), "users".into()],
            key: Some("id".into()),
        };
        let tags = |lines: Option<Vec<&str>>| {
            let table = &table;
            Changes { table, lines }.tags().join(" ")
        };
        let known = Some(vec!["DELETE: id[bigint]:1 ", "INSERT: id[bigint]:1 "]);
        assert_eq!(tags(known), "t:users_1 r:users_1:1 t:users r:users:1");
        let all = "t:users_1 R:users_1 t:users R:users";
        assert_eq!(tags(None), all);
        assert_eq!(tags(Some(vec!["DELETE: id[bigint]:1 ", "DELETE: x "])), all);
    }
}
