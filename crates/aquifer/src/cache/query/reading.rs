use aquifer_core::scan::{self, Class};
use aquifer_wire::types::{Encode, Type, Value};
use bytes::BytesMut;

use crate::Uncacheable;
use crate::cache::relations::Relations;
use crate::cache::tag;
use crate::query::{Keeping, Plan};
use crate::statement::text_of;

/// What the result of a query depends on.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) tags: Vec<Box<str>>,
    /// Whether that is one row by its key. That there is none is not kept, since one that is inserted
    /// has no stamp yet.
    pub(crate) is_of_row: bool,
}

/// Words that ask what time it is, and are no functions.
const CLOCKS: [&str; 5] = [
    "current_timestamp",
    "current_date",
    "current_time",
    "localtimestamp",
    "localtime",
];

impl Reading {
    /// What a query reads, or why its result must not be kept.
    pub(crate) fn of(
        plan: &Plan,
        keeping: &Keeping,
        relations: &Relations,
    ) -> Result<Self, Uncacheable> {
        refuse(plan, keeping, relations)?;
        let declared = keeping.tables.as_deref().unwrap_or_default();
        let mut named: Vec<&str> = plan
            .tables_read()
            .map(|table| table.name.as_str())
            .collect();
        named.extend(declared.iter().map(AsRef::as_ref));
        let all = relations.read(&named, keeping.tables.is_some())?;
        if let ([table], [read], None) = (named.as_slice(), all.as_slice(), &keeping.tables)
            && table == read
            && let Some(key) = row(plan, table, relations)
        {
            let tags = vec![
                tag::of_row(table, &key),
                tag::of_rows(table),
                tag::of_database(),
            ];
            return Ok(Self {
                tags,
                is_of_row: true,
            });
        }
        let mut tags: Vec<_> = all.into_iter().map(tag::of_table).collect();
        tags.push(tag::of_database());
        Ok(Self {
            tags,
            is_of_row: false,
        })
    }

    /// What it names, where the catalog can't be asked: enough to look for a result, but not to keep one.
    pub(crate) fn guessed(plan: &Plan, keeping: &Keeping) -> Self {
        let declared = keeping.tables.iter().flatten().map(AsRef::as_ref);
        let named = plan.tables_read().map(|table| table.name.as_str());
        let mut tags: Vec<_> = named.chain(declared).map(tag::of_table).collect();
        tags.sort_unstable();
        tags.dedup();
        tags.push(tag::of_database());
        Self {
            tags,
            is_of_row: false,
        }
    }
}

fn refuse(plan: &Plan, keeping: &Keeping, relations: &Relations) -> Result<(), Uncacheable> {
    let scan = scan::scan(plan.sql());
    if plan.locks() {
        return Err(Uncacheable::Locks);
    }
    if !plan.is_read() || scan.class != Class::Read {
        return Err(Uncacheable::Writes);
    }
    let functions = scan.functions.iter();
    let functions: Vec<Box<str>> = functions
        .map(|called| called.name.as_ref().into())
        .collect();
    relations.refuse_random(&functions)?;
    if keeping.tables.is_some() {
        return Ok(());
    }
    if plan.has_raw() {
        return Err(Uncacheable::UnknownTables);
    }
    relations.refuse_unknown(&functions)?;
    let lower = plan.sql().to_ascii_lowercase();
    if let Some(clock) = CLOCKS.iter().find(|clock| lower.contains(**clock)) {
        return Err(Uncacheable::OfTheMoment((*clock).into()));
    }
    let is_system = |schema: &str| matches!(schema, "pg_catalog" | "information_schema");
    for table in plan.tables_read() {
        let schema = table.schema.as_ref().map(|schema| schema.as_str());
        if schema.is_some_and(is_system) || table.name.as_str().starts_with("pg_") {
            return Err(Uncacheable::SystemTable(table.name.as_str().into()));
        }
    }
    Ok(())
}

/// The key of the one row that a query is about.
fn row(plan: &Plan, table: &str, relations: &Relations) -> Option<Box<str>> {
    let (column, ty) = relations.key(table)?;
    // What counts rows says something of those that are not there, too.
    if !scan::scan(plan.sql()).functions.is_empty() {
        return None;
    }
    let equals = scan::equals_of_query(plan.sql());
    let equal = equals
        .iter()
        .find(|equal| equal.column == column.as_str())?;
    let value = plan.values().get(equal.parameter.checked_sub(1)?)?;
    key_text(value, ty)
}

fn key_text(value: &Value, ty: &Type) -> Option<Box<str>> {
    if value.is_null() {
        return None;
    }
    let mut bytes = BytesMut::new();
    value.encode(ty, &mut bytes).ok()?;
    text_of(ty, &bytes)
}
