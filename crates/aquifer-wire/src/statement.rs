mod recent;

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use self::recent::Edition;
use crate::Error;
use crate::from_row::Mapping;
use crate::types::{Kind, Type};

/// One column of a result.
#[derive(Clone)]
pub struct Column {
    name: Box<str>,
    ty: Type,
    is_domain: bool,
    table: u32,
    /// That of its [`Columns`].
    altered: Arc<AtomicBool>,
}

impl Column {
    pub(crate) fn new(name: &str, ty: Type, table: u32) -> Self {
        Self {
            name: name.into(),
            is_domain: matches!(ty.kind(), Kind::Domain(_)),
            ty,
            table,
            altered: Arc::default(),
        }
    }

    /// Notes that a value showed the type to be another than was looked up.
    pub(crate) fn set_altered(&self) {
        self.altered.store(true, Ordering::Relaxed);
    }

    /// The name in the select list.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The PostgreSQL type.
    #[must_use]
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    #[inline]
    pub(crate) fn is_domain(&self) -> bool {
        self.is_domain
    }

    /// The OID of the table it comes from; `None` for an expression.
    #[must_use]
    pub fn table(&self) -> Option<u32> {
        (self.table != 0).then_some(self.table)
    }
}

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.ty, self.table) == (&other.name, &other.ty, other.table)
    }
}

impl Eq for Column {}

impl fmt::Debug for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Column")
            .field("name", &self.name)
            .field("ty", &self.ty)
            .field("table", &self.table())
            .finish()
    }
}

/// The columns of one statement's result, shared by all rows of that shape.
#[derive(Default)]
pub struct Columns {
    list: Vec<Column>,
    mappings: Mappings,
    /// Whether a value showed a type to be another than was looked up.
    altered: Arc<AtomicBool>,
}

/// How each Rust type that was ever read from one shape finds its columns.
///
/// Few types per shape, and none is ever dropped: a list that only grows is searched without a lock.
#[derive(Default)]
struct Mappings(OnceLock<Box<Known>>);

struct Known {
    of: TypeId,
    mapping: Mapping,
    others: Mappings,
}

impl Columns {
    pub(crate) fn new(mut list: Vec<Column>) -> Self {
        let altered = Arc::default();
        for column in &mut list {
            column.altered = Arc::clone(&altered);
        }
        Self {
            list,
            mappings: Mappings::default(),
            altered,
        }
    }

    /// The columns in order.
    #[must_use]
    pub fn list(&self) -> &[Column] {
        &self.list
    }

    /// Where the first column of that name stands, from 0.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|column| column.name() == name)
    }

    /// The mapping kept for a type, made by `make` the first time.
    pub(crate) fn mapping(
        &self,
        of: TypeId,
        make: impl Fn() -> Result<Mapping, Error>,
    ) -> Result<&Mapping, Error> {
        let mut place = &self.mappings;
        loop {
            let known = match place.0.get() {
                Some(known) => known,
                None => {
                    let mapping = make()?;
                    // Another task may be faster; then what it put there is looked at.
                    place.0.get_or_init(|| {
                        Box::new(Known {
                            of,
                            mapping,
                            others: Mappings::default(),
                        })
                    })
                }
            };
            if known.of == of {
                return Ok(&known.mapping);
            }
            place = &known.others;
        }
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.list).finish()
    }
}

/// What the server said about a statement: its parameters and its columns.
///
/// The id is never reused, so a description that was dropped and made again is another one, and
/// each connection prepares it anew.
#[derive(Debug)]
pub struct Statement {
    pub(crate) id: u64,
    pub(crate) sql: Box<str>,
    pub(crate) parameters: Vec<Type>,
    pub(crate) columns: Arc<Columns>,
    note: AtomicU64,
    fingerprint: u64,
    /// When it was looked up last, by its catalog's count.
    used: AtomicU64,
}

/// A hash of a statement's text, by which its figures are found.
#[must_use]
pub fn fingerprint(sql: &str) -> u64 {
    xxh3_64(sql.as_bytes())
}

impl Statement {
    /// A number that no other description has.
    pub(crate) fn next_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new(id: u64, sql: &str, parameters: Vec<Type>, columns: Arc<Columns>) -> Self {
        Self {
            id,
            sql: sql.into(),
            parameters,
            columns,
            note: AtomicU64::new(0),
            fingerprint: fingerprint(sql),
            used: AtomicU64::new(0),
        }
    }

    /// The [`fingerprint`] of its text.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// A mark that the owner of the catalog keeps with the statement, 0 at first.
    #[must_use]
    pub fn note(&self) -> u64 {
        self.note.load(Ordering::Relaxed)
    }

    /// Changes the mark of [`note`](Self::note), unless `change` gives `None`; says whether it did.
    ///
    /// `change` is asked again when somebody else changes the mark at the same time.
    pub fn update_note(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.note.fetch_update(set, fetch, change).is_ok()
    }

    /// The text.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The types of `$1`, `$2` and so on.
    #[must_use]
    pub fn parameters(&self) -> &[Type] {
        &self.parameters
    }

    /// The columns of its result; none for a statement without one.
    #[must_use]
    pub fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }
}

/// Descriptions and types that were learned on any connection of one database and role.
///
/// Share one among the connections of a pool: what one has asked, the others need not.
#[derive(Debug)]
pub struct Catalog {
    statements: Mutex<Kept>,
    types: Arc<Mutex<HashMap<u32, Type>>>,
    statements_max: usize,
    /// Twice the number of descriptions that were taken in: those looked up since the last one are
    /// equally recent, and more so than that one.
    taken_in: AtomicU64,
    edition: Edition,
}

/// Most bytes of text that a catalog keeps; the longest texts are those built at run time.
const TEXT_MAX: usize = 16 * 1024 * 1024;
/// A text of more bytes is not kept at all: it would push out many that are used more.
const LONG: usize = TEXT_MAX / 16;

/// The descriptions, and the bytes of their texts together.
#[derive(Debug, Default)]
struct Kept {
    by_text: Statements,
    text_bytes: usize,
}

type Statements = HashMap<Box<str>, Arc<Statement>, BuildHasherDefault<TextHasher>>;

/// The one-shot form of XXH3: for text of usual length a fraction of the streaming form's work.
#[derive(Debug, Default)]
struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// The mark that `str` puts behind itself; a key is one text, so nothing can run into it.
    fn write_u8(&mut self, _mark: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Kept {
    fn remove(&mut self, sql: &str, edition: &Edition) {
        if self.by_text.remove(sql).is_some() {
            self.text_bytes -= sql.len();
            edition.change();
        }
    }
}

impl Catalog {
    /// A catalog that keeps at most `statements_max` descriptions, and 16 MiB of their texts,
    /// dropping the least recently used; texts beyond 1 MiB are not kept.
    #[must_use]
    pub fn new(statements_max: usize) -> Self {
        Self {
            statements: Mutex::default(),
            types: Arc::default(),
            statements_max: statements_max.max(1),
            taken_in: AtomicU64::new(0),
            edition: Edition::new(),
        }
    }

    /// A catalog of other statements and the same types.
    pub(crate) fn apart(&self, statements_max: usize) -> Self {
        Self {
            types: Arc::clone(&self.types),
            ..Self::new(statements_max)
        }
    }

    /// The description of `sql`, if it is known.
    #[must_use]
    #[inline]
    pub fn statement(&self, sql: &str) -> Option<Arc<Statement>> {
        let statement = match recent::find(self.edition.number(), sql) {
            Some(statement) => statement,
            None => self.look_up(sql)?,
        };
        if statement.columns.altered.load(Ordering::Relaxed) {
            self.forget(&statement);
            self.forget_types();
            return None;
        }
        let used = self.taken_in.load(Ordering::Relaxed) + 1;
        // Looked at first: what all callers write, all callers wait for.
        if statement.used.load(Ordering::Relaxed) != used {
            statement.used.store(used, Ordering::Relaxed);
        }
        Some(statement)
    }

    #[cold]
    fn look_up(&self, sql: &str) -> Option<Arc<Statement>> {
        let kept = self.kept();
        let statement = Arc::clone(kept.by_text.get(sql)?);
        // Under the lock it is that of the statement.
        let edition = self.edition.number();
        drop(kept);
        recent::remember(edition, sql, &statement);
        Some(statement)
    }

    pub(crate) fn keep(&self, statement: Arc<Statement>) {
        let used = self.taken_in.fetch_add(2, Ordering::Relaxed) + 2;
        statement.used.store(used, Ordering::Relaxed);
        let mut kept = self.kept();
        kept.remove(&statement.sql, &self.edition);
        let bytes = statement.sql.len();
        if bytes > LONG {
            return;
        }
        while kept.by_text.len() >= self.statements_max || kept.text_bytes + bytes > TEXT_MAX {
            let statements = kept.by_text.values();
            let oldest = statements.min_by_key(|known| known.used.load(Ordering::Relaxed));
            let Some(oldest) = oldest.map(Arc::clone) else {
                break;
            };
            kept.remove(&oldest.sql, &self.edition);
        }
        kept.text_bytes += bytes;
        let sql = statement.sql.clone();
        kept.by_text.insert(sql, statement);
    }

    /// Drops a description that turned out to be stale, unless a newer one has taken its place.
    pub(crate) fn forget(&self, stale: &Statement) {
        let mut kept = self.kept();
        let known = kept.by_text.get(&stale.sql);
        if known.is_some_and(|known| known.id == stale.id) {
            kept.remove(&stale.sql, &self.edition);
        }
    }

    /// Drops the description of a statement, so that it is asked for anew.
    pub fn forget_text(&self, sql: &str) {
        self.kept().remove(sql, &self.edition);
    }

    /// The ids of all descriptions.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let kept = self.kept();
        let statements = kept.by_text.values();
        statements.map(|statement| statement.id).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ty(&self, oid: u32) -> Option<Type> {
        Type::from_oid(oid).or_else(|| {
            self.types
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&oid)
                .cloned()
        })
    }

    pub(crate) fn keep_type(&self, ty: Type) {
        self.types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(ty.oid(), ty);
    }

    /// Drops all types that were looked up: labels or attributes may have changed.
    pub(crate) fn forget_types(&self) {
        self.types
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str) -> Arc<Statement> {
        let id = Statement::next_id();
        Arc::new(Statement::new(id, sql, Vec::new(), Arc::default()))
    }

    #[test]
    fn the_least_recently_used_descriptions_make_room() {
        let catalog = Catalog::new(2);
        catalog.keep(statement("one"));
        catalog.keep(statement("two"));
        assert!(catalog.statement("one").is_some());
        catalog.keep(statement("three"));
        assert!(catalog.statement("two").is_none());
        assert!(catalog.statement("one").is_some() && catalog.statement("three").is_some());
    }

    #[test]
    fn what_a_thread_looked_up_is_forgotten_with_the_catalogs_own() {
        let (catalog, other) = (Catalog::new(2), Catalog::new(2));
        let text = "select 1".to_owned();
        let known = |catalog: &Catalog| catalog.statement(&text).map(|statement| statement.id);
        let (first, second) = (statement(&text), statement(&text));
        catalog.keep(Arc::clone(&first));
        assert_eq!(
            (known(&catalog), known(&catalog)),
            (Some(first.id), Some(first.id))
        );
        assert_eq!(known(&other), None);
        catalog.keep(Arc::clone(&second));
        assert_eq!(known(&catalog), Some(second.id));
        catalog.forget(&first);
        assert_eq!(known(&catalog), Some(second.id));
        catalog.forget(&second);
        assert_eq!(known(&catalog), None);
        catalog.keep(second);
        assert!(known(&catalog).is_some());
        catalog.forget_text(&text);
        assert_eq!(known(&catalog), None);
    }

    #[test]
    fn another_text_in_the_same_place_is_not_taken_for_the_first() {
        let catalog = Catalog::new(2);
        let mut text = "select 1".to_owned();
        catalog.keep(statement(&text));
        assert!(catalog.statement(&text).is_some());
        let place = text.as_ptr();
        text.replace_range(7..8, "2");
        assert_eq!(text.as_ptr(), place);
        assert!(catalog.statement(&text).is_none());
    }

    #[test]
    fn long_texts_make_room_by_their_bytes() {
        let catalog = Catalog::new(1000);
        let text = |number: usize| format!("{number:02}{}", "x".repeat(LONG - 2));
        for number in 0..30 {
            catalog.keep(statement(&text(number)));
            // The same text again takes no more room.
            catalog.keep(statement(&text(number)));
        }
        let held = (catalog.ids().len(), catalog.kept().text_bytes);
        assert_eq!(held, (16, TEXT_MAX));
        assert!(catalog.statement(&text(29)).is_some() && catalog.statement(&text(13)).is_none());
        catalog.keep(statement(&"y".repeat(LONG + 1)));
        assert_eq!(
            catalog.ids().len(),
            16,
            "what is too long pushes nothing out"
        );
    }
}
