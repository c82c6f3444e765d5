//! One look at the log: what was committed since the last one, as far as it can be seen by readers.

use std::collections::{BTreeSet, HashMap};

use super::session::Session;
use crate::cache::foreign::{Changes, Table, tables_of};
use crate::session::Session as _;
use crate::{Error, ErrorKind};

/// So many changes are asked for at a time, and then those of the transaction that is not at its end.
const CHANGES: i32 = 10_000;

/// Of a table that a transaction changes in more rows, all rows count as changed.
const ROWS: i32 = 256;

/// So much is looked at of each row to find its key.
const LENGTH: i32 = 4_096;

/// Changes by transaction and table. What the server does not send it need not be asked to keep: of large
/// transactions only their number is told.
const CHANGED: &str = "\
    with changes as materialized (\
      select xid::text::bigint as xid, data, \
        substring(data from '^table ((?:\"(?:[^\"]|\"\")*\"|[^\":])+): ') as tables \
      from pg_logical_slot_get_changes($1, null, $2, 'include-xids', '0', 'skip-empty-xacts', '1')), \
    numbered as (\
      select xid, tables, left(substr(data, length(tables) + 9) || ' ', $4) as line, \
        row_number() over (partition by xid, tables) as position \
      from changes where tables is not null) \
    select xid, tables, count(*), \
      case when count(*) <= $3 then array_agg(line) filter (where position <= $3) end \
    from numbered group by xid, tables";

/// What may be seen by statements that begin from now on.
const SNAPSHOT: &str = "select pg_current_snapshot()::text";

/// Of each table: its name and those of the tables that it is a part of, and the columns of its key.
const TABLES: &str = "\
    with recursive named as (\
      select n.position, c.oid \
      from unnest($1::text[], $2::text[]) with ordinality as n(schema, name, position) \
      join pg_namespace s on s.nspname = n.schema \
      join pg_class c on c.relnamespace = s.oid and c.relname = n.name), \
    part as (\
      select position, oid from named \
      union select p.position, i.inhparent from part p join pg_inherits i on i.inhrelid = p.oid) \
    select n.position, \
      array(select c.relname::text from part p join pg_class c on c.oid = p.oid \
        where p.position = n.position), \
      array(select a.attname::text from pg_index i \
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey) \
        where i.indrelid = n.oid and i.indisprimary) \
    from named n";

/// A transaction whose changes are known, and that can't be seen yet.
struct Unseen {
    id: u64,
    tags: BTreeSet<Box<str>>,
}

/// What is known between looks.
pub(super) struct Poll {
    unseen: Vec<Unseen>,
    /// Transactions below this were under way when reading began: what they wrote before that is not in
    /// the slot, and could perhaps not be seen when everything was made a miss.
    before: Option<u64>,
}

/// What a look found.
pub(super) struct Found {
    /// What has changed and can be seen.
    pub(super) tags: Vec<Box<str>>,
    /// Whether anything else may have changed.
    pub(super) unknown: bool,
    /// Whether some can't be seen yet.
    pub(super) waiting: bool,
    /// Whether there is more to be looked at now.
    pub(super) more: bool,
}

/// As `pg_current_snapshot` says it.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    least: u64,
    next: u64,
    running: Vec<u64>,
}

type Row = (i64, String, i64, Option<Vec<String>>);

impl Poll {
    pub(super) async fn begun(session: &Session) -> Result<Self, Error> {
        let snapshot = snapshot(session).await?;
        Ok(Self {
            unseen: Vec::new(),
            before: (snapshot.least < snapshot.next).then_some(snapshot.next),
        })
    }

    pub(super) async fn next(&mut self, session: &Session) -> Result<Found, Error> {
        let params = (session.slot(), CHANGES, ROWS, LENGTH);
        let rows: Vec<Row> = session.inner.query_as(CHANGED, params).await?;
        let changes: i64 = rows.iter().map(|row| row.2).sum();
        let is_calm = rows.is_empty() && self.unseen.is_empty() && self.before.is_none();
        if is_calm {
            return Ok(Found::nothing());
        }
        let tables = tables(session, &rows).await?;
        // Asked later than the changes: what is not visible now was not when they were announced.
        let snapshot = snapshot(session).await?;
        for (xid, list, _, lines) in &rows {
            let id = snapshot.whole(*xid)?;
            let tags = tags((list, lines.as_deref()), &tables);
            match self.unseen.iter_mut().find(|unseen| unseen.id == id) {
                Some(unseen) => unseen.tags.extend(tags),
                None => self.unseen.push(Unseen {
                    id,
                    tags: tags.collect(),
                }),
            }
        }
        let mut seen = BTreeSet::new();
        self.unseen.retain_mut(|unseen| {
            let is_seen = snapshot.shows(unseen.id);
            if is_seen {
                seen.append(&mut unseen.tags);
            }
            !is_seen
        });
        let before = self.before.filter(|before| snapshot.least < *before);
        let unknown = self.before.is_some() && before.is_none();
        self.before = before;
        Ok(Found {
            tags: seen.into_iter().collect(),
            unknown,
            waiting: !self.unseen.is_empty(),
            more: changes >= i64::from(CHANGES),
        })
    }
}

impl Found {
    fn nothing() -> Self {
        Self {
            tags: Vec::new(),
            unknown: false,
            waiting: false,
            more: false,
        }
    }
}

impl Snapshot {
    /// `least:next:running,running`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (least, next) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let running = parts.next()?.split(',').filter(|id| !id.is_empty());
        Some(Self {
            least,
            next,
            running: running.map(str::parse).collect::<Result<_, _>>().ok()?,
        })
    }

    /// The whole number of a transaction of which the log has the lower half; it is not from the future.
    fn whole(&self, half: i64) -> Result<u64, Error> {
        let half = u32::try_from(half).map_err(|_negative| malformed())?;
        let whole = (self.next & !u64::from(u32::MAX)) | u64::from(half);
        Ok(match whole >= self.next {
            true => whole.saturating_sub(1 << 32),
            false => whole,
        })
    }

    fn shows(&self, id: u64) -> bool {
        id < self.least || (id < self.next && !self.running.contains(&id))
    }
}

async fn snapshot(session: &Session) -> Result<Snapshot, Error> {
    let text: String = session.inner.query_value(SNAPSHOT, ()).await?;
    Snapshot::parse(&text).ok_or_else(malformed)
}

/// Of the table at a position: its names and the columns of its key.
type Known = (i64, Vec<String>, Vec<String>);

/// By schema and name.
type Tables = HashMap<(String, String), Table>;

/// What is known of the tables whose rows were changed. One that is gone by now is known by its name.
async fn tables(session: &Session, rows: &[Row]) -> Result<Tables, Error> {
    let named: BTreeSet<(String, String)> = rows.iter().flat_map(|row| tables_of(&row.1)).collect();
    let (schemas, names): (Vec<String>, Vec<String>) = named.iter().cloned().unzip();
    let found: Vec<Known> = session.inner.query_as(TABLES, (schemas, names)).await?;
    let mut tables = Tables::new();
    for (position, named) in (1_i64..).zip(named) {
        let mut table = Table {
            names: vec![named.1.clone()],
            key: None,
        };
        if let Some((_, names, key)) = found.iter().find(|one| one.0 == position) {
            table.names.clone_from(names);
            // A key of several columns has no row tag.
            table.key = match key.as_slice() {
                [one] => Some(one.clone()),
                _ => None,
            };
        }
        tables.insert(named, table);
    }
    Ok(tables)
}

fn tags<'a>(
    (list, lines): (&'a str, Option<&'a [String]>),
    tables: &'a Tables,
) -> impl Iterator<Item = Box<str>> + 'a {
    let named = tables_of(list).into_iter();
    let known = named.filter_map(|named| tables.get(&named));
    known.flat_map(move |table| {
        let lines = lines.map(|lines| lines.iter().map(String::as_str).collect());
        Changes { table, lines }.tags()
    })
}

fn malformed() -> Error {
    let text = "the server wrote a snapshot or a change in a form that is not known";
    Error::new(ErrorKind::Protocol, text)
}
