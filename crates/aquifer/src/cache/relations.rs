//! What the catalog says of tables that the text of a statement does not: what else a write changes, and
//! what a query reads.
//!
//! Names have no schema, as [tags](super::tag) have none: what holds for one of several relations of a
//! name is taken to hold for all.

use std::collections::{HashMap, HashSet};

use aquifer_core::scan::Effect;
use aquifer_wire::types::Type;

use super::tag;
use super::uncacheable::Uncacheable;
use crate::statement::{Changed, ChangedTable};

/// One line of the [`CATALOG`]: its kind, two names and a number.
pub(crate) type Line = (String, String, Option<String>, i64);

/// Asks for all that there is to know, in one go.
///
/// | kind | what |
/// |---|---|
/// | `key` | a table, its primary key of one column, the type's OID |
/// | `part` | a table, and a partition or a table that inherits from it |
/// | `cascade` | a table, one whose rows a foreign key deletes or changes along with it, 1 if it does so for updates |
/// | `view` | a view, and a table or view that it reads |
/// | `calls` | a view, or a table by its policies, and a function that is not immutable; 1 if it is volatile or of the database's own |
/// | `opaque` | one that asks what time it is, or reads a table of the system |
/// | `policy` | a table, and another one that a row security policy of it reads |
/// | `acts` | a table with triggers, rules, defaults or checks that may change anything |
/// | `foreign`, `temporary`, `sequence` | a table, or what can be read like one |
/// | `volatile`, `stable` | a function of the database's own |
/// | `random` | a function of PostgreSQL's whose result is another one each time |
pub(crate) const CATALOG: &str = r"
with classes as (
  select c.oid, c.relname::text as name, c.relkind as kind, c.relpersistence as kept
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f')
    and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
), functions as (
  select p.oid, p.proname::text as name, p.provolatile as changes, p.prorettype as returns,
    l.lanname as language, lower(p.prosrc) as text
  from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    join pg_catalog.pg_language l on l.oid = p.prolang
  where n.nspname not in ('pg_catalog', 'information_schema')
), writing as (
  select f.oid, f.name, f.returns from functions f
  where f.changes = 'v' and f.language not in ('c', 'internal') and (
    f.language not in ('plpgsql', 'sql') or f.text = ''
    or f.text ~ '\m(insert|update|delete|merge|truncate|execute|perform|call|copy|refresh|alter|drop)\M'
    or exists (select from functions o where o.changes = 'v' and o.oid <> f.oid
      and o.language not in ('c', 'internal') and strpos(f.text, o.name) > 0))
), expressions as (
  select c.name, r.ev_action::text as text
  from pg_catalog.pg_rewrite r join classes c on c.oid = r.ev_class and c.kind = 'v'
  union all
  select c.name, p.polqual::text from pg_catalog.pg_policy p join classes c on c.oid = p.polrelid
    join pg_catalog.pg_class t on t.oid = c.oid and t.relrowsecurity
)
select 'key', c.name, a.attname::text, a.atttypid::bigint
from pg_catalog.pg_index i join classes c on c.oid = i.indrelid
  join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
  left join pg_catalog.pg_collation l on l.oid = a.attcollation
where i.indisprimary and i.indnkeyatts = 1 and coalesce(l.collisdeterministic, true)
  and not (c.kind = 'r' and exists (select from pg_catalog.pg_inherits h where h.inhparent = c.oid))
union all
select 'part', c.name, h.name, 0 from pg_catalog.pg_inherits i
  join classes c on c.oid = i.inhparent join classes h on h.oid = i.inhrelid
union all
select distinct 'cascade', c.name, h.name, (f.confupdtype in ('c', 'n', 'd'))::int
from pg_catalog.pg_constraint f
  join classes c on c.oid = f.confrelid join classes h on h.oid = f.conrelid
where f.contype = 'f' and (f.confupdtype in ('c', 'n', 'd') or f.confdeltype in ('c', 'n', 'd'))
union all
select distinct 'view', v.name, c.name, 0 from pg_catalog.pg_rewrite r
  join classes v on v.oid = r.ev_class and v.kind = 'v'
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass
  join classes c on c.oid = d.refobjid and c.oid <> v.oid
union all
select distinct 'calls', e.name, p.proname::text,
  (p.provolatile = 'v' or p.pronamespace <> 'pg_catalog'::regnamespace)::int
from expressions e, regexp_matches(e.text, ':(?:aggfnoid|funcid|opfuncid|winfnoid) (\d+)', 'g') called
  join pg_catalog.pg_proc p on p.oid = called[1]::oid
where p.provolatile <> 'i'
union all
select distinct 'opaque', e.name, null, 0 from expressions e
where e.text ~ 'SQLVALUEFUNCTION :op [0-8] '
union all
select distinct 'opaque', e.name, null, 0
from expressions e, regexp_matches(e.text, ':relid (\d+)', 'g') read
  join pg_catalog.pg_class c on c.oid = read[1]::oid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('pg_catalog', 'information_schema')
union all
select distinct 'policy', c.name, o.name, 0 from pg_catalog.pg_policy p
  join classes c on c.oid = p.polrelid
  join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_policy'::regclass and d.objid = p.oid
    and d.refclassid = 'pg_catalog.pg_class'::regclass
  join classes o on o.oid = d.refobjid and o.oid <> c.oid
union all
select distinct 'acts', c.name, null, 0 from pg_catalog.pg_trigger t
  join classes c on c.oid = t.tgrelid join functions f on f.oid = t.tgfoid
  join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_language l on l.oid = p.prolang
where not t.tgisinternal and t.tgenabled <> 'D' and not (l.lanname = 'plpgsql' and p.prosrc !~*
  '\m(insert|update|delete|merge|truncate|execute|perform|call|select|copy|refresh|alter|drop)\M'
  and not exists (select from writing w where w.oid <> p.oid and strpos(lower(p.prosrc), w.name) > 0))
union all
select distinct 'acts', c.name, null, 0 from (
    select adrelid as relation, oid, 'pg_catalog.pg_attrdef'::regclass as kind from pg_catalog.pg_attrdef
    union all
    select conrelid, oid, 'pg_catalog.pg_constraint'::regclass from pg_catalog.pg_constraint
    where contype = 'c'
  ) e join classes c on c.oid = e.relation
  join pg_catalog.pg_depend d on d.classid = e.kind and d.objid = e.oid
    and d.refclassid = 'pg_catalog.pg_proc'::regclass
  join writing w on w.oid = d.refobjid
union all
select distinct 'acts', c.name, null, 0 from pg_catalog.pg_rewrite r
  join classes c on c.oid = r.ev_class where r.ev_type <> '1'
union all
select 'foreign', name, null, 0 from classes where kind = 'f'
union all
select distinct 'sequence', relname::text, null, 0 from pg_catalog.pg_class where relkind = 'S'
union all
select 'temporary', name, null, 0 from classes where kept = 't'
union all
select distinct case changes when 'v' then 'volatile' else 'stable' end, name, null, 0
from functions where changes <> 'i' and returns <> 'pg_catalog.trigger'::regtype
union all
select distinct 'random', proname::text, null, 0 from pg_catalog.pg_proc
where provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace";

/// PostgreSQL's own functions that give something else at another time, though they are not volatile, or
/// read tables that their text does not show.
const OF_THE_MOMENT: [&str; 27] = [
    "age",
    "current_setting",
    "currtid2",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "database_to_xmlschema",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "lo_get",
    "now",
    "query_to_xml",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "statement_timestamp",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "timenow",
    "transaction_timestamp",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
];

/// Of those that begin with `pg_`, which mostly tell how the server is, the ones that only look at what
/// they are given.
const OF_THEIR_ARGUMENTS: [&str; 6] = [
    "pg_collation_for",
    "pg_column_compression",
    "pg_column_size",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_typeof",
];

fn is_of_the_moment(function: &str) -> bool {
    OF_THE_MOMENT.contains(&function)
        || function.starts_with("pg_") && !OF_THEIR_ARGUMENTS.contains(&function)
}

/// The column of a primary key, and its type.
type Key = (String, Type);

/// What the catalog says.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    keys: HashMap<String, Option<Key>>,
    /// What is changed along with a relation, whatever is changed in it.
    along: HashMap<String, Vec<String>>,
    /// As `along`, and what goes when rows of it go.
    at_delete: HashMap<String, Vec<String>>,
    /// What is read by way of a relation.
    beneath: HashMap<String, Vec<String>>,
    acting: HashSet<String>,
    opaque: HashSet<String>,
    foreign: HashSet<String>,
    sequences: HashSet<String>,
    temporary: HashSet<String>,
    volatile: HashSet<String>,
    stable: HashSet<String>,
    random: HashSet<String>,
}

impl Relations {
    pub(crate) fn of(lines: impl IntoIterator<Item = Line>) -> Self {
        let mut all = Self::default();
        for (kind, name, other, number) in lines {
            let other = other.unwrap_or_default();
            match kind.as_str() {
                "key" => all.add_key(name, other, number),
                "part" => {
                    // What is written to one is seen in the other.
                    all.add_along(&other, &name);
                    all.add_along(&name, &other);
                }
                "cascade" if number == 0 => push(&mut all.at_delete, &name, &other),
                "cascade" => all.add_along(&name, &other),
                "view" => {
                    // A view that can be updated changes its table.
                    all.add_along(&name, &other);
                    push(&mut all.beneath, &name, &other);
                }
                "policy" => push(&mut all.beneath, &name, &other),
                "acts" => drop(all.acting.insert(name)),
                // Settings are a part of what a result is known by.
                "calls"
                    if number == 0 && (other == "current_setting" || !is_of_the_moment(&other)) => {
                }
                "calls" | "opaque" => drop(all.opaque.insert(name)),
                "sequence" => drop(all.sequences.insert(name)),
                "foreign" => drop(all.foreign.insert(name)),
                "temporary" => drop(all.temporary.insert(name)),
                "volatile" => drop(all.volatile.insert(name)),
                "stable" => drop(all.stable.insert(name)),
                "random" => drop(all.random.insert(name)),
                _ => {}
            }
        }
        all
    }

    fn add_along(&mut self, name: &str, other: &str) {
        push(&mut self.along, name, other);
        push(&mut self.at_delete, name, other);
    }

    fn add_key(&mut self, table: String, column: String, ty: i64) {
        let ty = u32::try_from(ty).ok().and_then(Type::from_oid);
        let key = ty.map(|ty| (column, ty));
        match self.keys.get_mut(&table) {
            // Of another schema: then none is told apart.
            Some(known) if *known != key => *known = None,
            Some(_) => {}
            None => drop(self.keys.insert(table, key)),
        }
    }

    /// The column of a table's primary key, if it is one column of a type that is told apart.
    pub(crate) fn key(&self, table: &str) -> Option<&Key> {
        self.keys.get(table)?.as_ref()
    }

    /// Whether calling one of these may have changed something.
    pub(crate) fn may_change(&self, functions: &[Box<str>]) -> bool {
        functions
            .iter()
            .any(|function| self.volatile.contains(&**function))
    }

    /// What is to be invalidated.
    pub(crate) fn tags_of(&self, changed: &Changed) -> Vec<Box<str>> {
        let mut tags = Vec::new();
        if changed.anything || self.may_change(&changed.functions) {
            return Self::tags_of_anything();
        }
        for table in &changed.tables {
            self.add_tags(table, &mut tags);
        }
        tags.sort_unstable();
        tags.dedup();
        tags
    }

    /// What is to be invalidated where that can't be told.
    pub(crate) fn tags_of_anything() -> Vec<Box<str>> {
        vec![tag::of_database()]
    }

    fn add_tags(&self, changed: &ChangedTable, tags: &mut Vec<Box<str>>) {
        let edges = match changed.effect {
            Effect::Adds | Effect::Updates => &self.along,
            _ => &self.at_delete,
        };
        let all = reached(edges, &changed.name);
        if all.iter().any(|name| self.acting.contains(*name)) {
            tags.push(tag::of_database());
        }
        for name in all {
            tags.push(tag::of_table(name));
            if changed.effect == Effect::Adds {
                continue;
            }
            let row = (name == &*changed.name)
                .then(|| self.row(changed))
                .flatten();
            tags.push(row.unwrap_or_else(|| tag::of_rows(name)));
        }
    }

    fn row(&self, changed: &ChangedTable) -> Option<Box<str>> {
        let (column, _) = self.key(&changed.name)?;
        let mut equals = changed.equals.iter();
        let (_, value) = equals.find(|(name, _)| **name == **column)?;
        Some(tag::of_row(&changed.name, value))
    }

    /// All that is read where these are named; what nobody tells of only where the user answers for it.
    pub(crate) fn read<'a>(
        &'a self,
        named: &[&'a str],
        is_declared: bool,
    ) -> Result<Vec<&'a str>, Uncacheable> {
        let mut all: Vec<&str> = Vec::new();
        for name in named {
            all.extend(reached(&self.beneath, name));
        }
        all.sort_unstable();
        all.dedup();
        for name in &all {
            let told = |what: fn(Box<str>) -> Uncacheable| Err(what((*name).into()));
            if self.temporary.contains(*name) {
                return told(Uncacheable::TemporaryTable);
            } else if is_declared {
                continue;
            } else if self.sequences.contains(*name) {
                return told(Uncacheable::SystemTable);
            } else if self.foreign.contains(*name) {
                return told(Uncacheable::ForeignTable);
            } else if self.opaque.contains(*name) {
                return told(Uncacheable::OpaqueView);
            }
        }
        Ok(all)
    }

    /// Refuses functions whose result is another one each time.
    pub(crate) fn refuse_random(&self, functions: &[Box<str>]) -> Result<(), Uncacheable> {
        let mut random = functions.iter().filter(|function| {
            self.random.contains(&***function) || self.volatile.contains(&***function)
        });
        match random.next() {
            Some(function) => Err(Uncacheable::VolatileFunction(function.clone())),
            None => Ok(()),
        }
    }

    /// Refuses functions that read what nobody knows, or the clock.
    pub(crate) fn refuse_unknown(&self, functions: &[Box<str>]) -> Result<(), Uncacheable> {
        for function in functions {
            if self.stable.contains(&**function) {
                return Err(Uncacheable::OwnFunction(function.clone()));
            }
            if is_of_the_moment(function) {
                return Err(Uncacheable::OfTheMoment(function.clone()));
            }
        }
        Ok(())
    }
}

fn push(edges: &mut HashMap<String, Vec<String>>, from: &str, to: &str) {
    edges
        .entry(from.to_owned())
        .or_default()
        .push(to.to_owned());
}

/// What can be reached from a name, itself included.
fn reached<'a>(edges: &'a HashMap<String, Vec<String>>, from: &'a str) -> Vec<&'a str> {
    let mut found = vec![from];
    let mut next = 0;
    while let Some(name) = found.get(next) {
        let more = edges.get(*name).into_iter().flatten();
        let more: Vec<&str> = more.map(String::as_str).collect();
        for name in more {
            if !found.contains(&name) {
                found.push(name);
            }
        }
        next += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relations() -> Relations {
        let line = |kind: &str, name: &str, other: Option<&str>, number| {
            (kind.into(), name.into(), other.map(str::to_owned), number)
        };
        Relations::of([
            line("key", "users", Some("id"), 20),
            line("key", "twice", Some("id"), 20),
            line("key", "twice", Some("number"), 20),
            line("cascade", "users", Some("orders"), 0),
            line("cascade", "orders", Some("items"), 0),
            line("cascade", "moods", Some("users"), 1),
            line("part", "events", Some("events_1"), 0),
            line("view", "active", Some("users"), 0),
            line("acts", "audited", None, 0),
            line("temporary", "scratch", None, 0),
            line("volatile", "touch", None, 0),
            line("random", "random", None, 0),
        ])
    }

    fn tags(name: &str, effect: Effect, equals: &[(&str, &str)]) -> Vec<String> {
        let equals = equals.iter();
        let changed = Changed {
            tables: vec![ChangedTable {
                name: name.into(),
                effect,
                equals: equals.map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            }],
            ..Changed::default()
        };
        let tags = relations().tags_of(&changed);
        tags.into_iter().map(String::from).collect()
    }

    #[test]
    fn a_write_invalidates_what_it_changes_and_what_changes_along() {
        assert_eq!(
            tags("users", Effect::Any, &[("a", "x"), ("id", "7")]),
            [
                "R:items",
                "R:orders",
                "r:users:7",
                "t:items",
                "t:orders",
                "t:users"
            ]
        );
        assert_eq!(
            tags("items", Effect::Updates, &[("a", "x")]),
            ["R:items", "t:items"]
        );
        assert_eq!(tags("items", Effect::Adds, &[]), ["t:items"]);
        assert_eq!(
            tags("twice", Effect::Any, &[("id", "7")]),
            ["R:twice", "t:twice"]
        );
        assert_eq!(
            tags("events_1", Effect::Adds, &[]),
            ["t:events", "t:events_1"]
        );
        assert!(tags("active", Effect::Updates, &[]).contains(&"t:users".to_owned()));
        assert!(tags("audited", Effect::Adds, &[]).contains(&"d".to_owned()));
    }

    #[test]
    fn a_cascade_is_one_of_what_it_is_for() {
        let updated = tags("users", Effect::Updates, &[("id", "7")]);
        assert_eq!(updated, ["r:users:7", "t:users"]);
        let updated = tags("moods", Effect::Updates, &[]);
        assert_eq!(updated, ["R:moods", "R:users", "t:moods", "t:users"]);
        let deleted = tags("moods", Effect::Any, &[]);
        assert!(deleted.contains(&"t:items".to_owned()));
    }

    #[test]
    fn what_may_have_changed_anything_invalidates_all() {
        let anything = Changed {
            anything: true,
            ..Changed::default()
        };
        let called = |name: &str| Changed {
            functions: vec![name.into()],
            ..Changed::default()
        };
        assert_eq!(relations().tags_of(&anything), [Box::<str>::from("d")]);
        assert_eq!(
            relations().tags_of(&called("touch")),
            [Box::<str>::from("d")]
        );
        assert!(relations().tags_of(&called("random")).is_empty());
    }

    #[test]
    fn a_query_reads_what_its_views_read() {
        let relations = relations();
        assert_eq!(
            relations.read(&["active", "items"], false),
            Ok(vec!["active", "items", "users"])
        );
        assert!(relations.read(&["scratch"], true).is_err());
        assert!(relations.refuse_random(&["random".into()]).is_err());
        assert!(relations.refuse_random(&["count".into()]).is_ok());
    }
}
