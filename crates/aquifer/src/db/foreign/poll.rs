//! One look at the log: what was committed since the last one, as far as it can be seen by readers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::session::Session;
use crate::cache::foreign::{Changes, Table, tables_of};
use crate::session::Session as _;
use crate::{Error, ErrorKind};

/// So many changes are asked for at a time, and then those of the transaction that is not at its end.
const CHANGES: i32 = 10_000;

/// Of a table that a transaction changes in more rows, all rows count as changed.
const ROWS: i32 = 256;

/// So do they of a table that all transactions of one look together change in more.
const ROWS_TOGETHER: i64 = 1_000;

/// A look that finds less counts as idle.
const IDLE: i64 = 100;

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

/// What is known between looks.
pub(super) struct Poll {
    /// What has changed by transactions that can't be seen yet.
    unseen: BTreeMap<u64, BTreeSet<Box<str>>>,
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
    /// Whether there was hardly anything: what the look cost, it cost for nothing.
    pub(super) idle: bool,
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
            unseen: BTreeMap::new(),
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
        let mut together: HashMap<&str, i64> = HashMap::new();
        for (_, list, count, _) in &rows {
            *together.entry(list).or_default() += count;
        }
        for (xid, list, _, lines) in &rows {
            let few = together
                .get(list.as_str())
                .is_some_and(|all| *all <= ROWS_TOGETHER);
            let lines = lines.as_deref().filter(|_| few);
            let unseen = self.unseen.entry(snapshot.whole(*xid)?).or_default();
            unseen.extend(tags((list, lines), &tables));
        }
        let mut seen = BTreeSet::new();
        self.unseen.retain(|id, tags| {
            let is_seen = snapshot.shows(*id);
            if is_seen {
                seen.append(tags);
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
            idle: changes < IDLE,
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
            idle: true,
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

    /// The whole number of a transaction of which the log has the lower half. It may be `next` or above:
    /// that counts only transactions which have ended, and one that waits for a standby has not.
    fn whole(&self, half: i64) -> Result<u64, Error> {
        let half = u32::try_from(half).map_err(|_negative| malformed())?;
        let next = u32::try_from(self.next & u64::from(u32::MAX)).unwrap_or_default();
        let ahead = half.wrapping_sub(next).cast_signed();
        Ok(self.next.saturating_add_signed(i64::from(ahead)))
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

#[cfg(test)]
mod tests {
    use super::Snapshot;

    #[test]
    fn a_transaction_that_has_not_ended_is_not_shown_though_nobody_has_a_higher_number() {
        let snapshot = Snapshot::parse("740:740:").unwrap();
        let ids = [739, 740, 741].map(|half| snapshot.whole(half).unwrap());
        assert_eq!(ids, [739, 740, 741]);
        assert_eq!(ids.map(|id| snapshot.shows(id)), [true, false, false]);
        let running = Snapshot::parse("740:743:740,742").unwrap();
        let shown = [739, 740, 741, 742, 743].map(|id| running.shows(id));
        assert_eq!(shown, [true, false, true, false, false]);
    }

    #[test]
    fn the_upper_half_is_that_of_the_nearest_number() {
        let turn = 1_u64 << 32;
        let whole = |next: u64, half| {
            let snapshot = Snapshot {
                least: next,
                next,
                running: Vec::new(),
            };
            snapshot.whole(half).unwrap()
        };
        assert_eq!(whole(turn + 5, i64::from(u32::MAX)), turn - 1);
        assert_eq!(whole(turn + 5, 7), turn + 7);
        assert_eq!(whole(turn - 1, 3), turn + 3);
        let far = Snapshot::parse("5:5:").unwrap();
        assert!(far.whole(-1).is_err());
    }
}
