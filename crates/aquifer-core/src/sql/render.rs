//! The one place where SQL text is written.

mod change;
mod expression;
mod select;

use super::{Bind, ColumnList, Cte, Error, Name, Order, Select, Statement, Table, Tables};
use super::{Direction, Nulls};

/// Parameters that one statement can have: the protocol counts them with 16 bits.
pub const PARAMETERS_MAX: usize = 65_535;

/// How deep a tree may be: far more than anybody writes, and little enough for any stack.
const DEPTH_MAX: u16 = 100;

/// A statement as text, and what is known about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rendered<V> {
    /// The text; parameter `$n` is the n-th value.
    pub text: String,
    /// The values, as many as there are parameters.
    pub values: Vec<V>,
    /// The tables and views that it reads by name; what raw text reads is not known.
    pub read: Tables,
    /// The tables that it inserts into, updates or deletes from.
    pub written: Tables,
    /// Whether it locks rows.
    pub locks: bool,
    /// Whether a part of it was written by hand, about which nothing is known.
    pub has_raw: bool,
    /// Whether a query says how many rows it returns at most.
    pub limited: bool,
    /// A source that no condition connects with the others: each of its rows meets each of theirs.
    pub unconnected: Option<Name>,
}

impl<V: Bind> Statement<V> {
    /// Writes the text, and numbers the parameters on the way.
    ///
    /// # Errors
    /// For UPDATE and DELETE without a condition, unless all rows are meant; for parts that don't fit
    /// together; for more parameters than the protocol takes; for a tree of more than 100 levels.
    pub fn render(mut self) -> Result<Rendered<V>, Error> {
        if let Self::Select(select) = &mut self {
            return select.render();
        }
        let mut renderer = Renderer::with_room(TEXT);
        renderer.statement(&mut self)?;
        renderer.finish()
    }
}

impl<V: Bind> Select<V> {
    /// Writes the text of the query, as [`Statement::render`] does.
    ///
    /// # Errors
    /// As [`Statement::render`].
    pub fn render(&mut self) -> Result<Rendered<V>, Error> {
        let mut renderer = Renderer::with_room(TEXT + PART * (self.items.len() + self.joins.len()));
        renderer.out.limited = self.limit.is_some();
        renderer.select(self)?;
        renderer.finish()
    }
}

/// Bytes that most texts have without what is selected and joined, and those of one such part: so
/// that a text takes one allocation.
const TEXT: usize = 192;
const PART: usize = 48;

struct Renderer<V> {
    out: Rendered<V>,
    /// The CTEs that can be named where the writer is; they are no tables.
    ctes: Vec<Name>,
    depth: u16,
}

impl<V: Bind> Renderer<V> {
    /// With room for a text of that length.
    fn with_room(text: usize) -> Self {
        Self {
            out: Rendered {
                text: String::with_capacity(text),
                values: Vec::with_capacity(4),
                read: Tables::default(),
                written: Tables::default(),
                locks: false,
                has_raw: false,
                limited: false,
                unconnected: None,
            },
            ctes: Vec::new(),
            depth: 0,
        }
    }

    fn finish(self) -> Result<Rendered<V>, Error> {
        let count = self.out.values.len();
        if count > PARAMETERS_MAX {
            return Err(Error::new(
                format!(
                    "the statement has {count} parameters, and the protocol takes {PARAMETERS_MAX}"
                ),
                "pass lists as one value each (`where_in`, `insert_many`), or use COPY",
            ));
        }
        Ok(self.out)
    }

    fn statement(&mut self, statement: &mut Statement<V>) -> Result<(), Error> {
        match statement {
            Statement::Select(select) => self.select(select),
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
        }
    }

    /// Runs `write` one level deeper.
    fn deeper(&mut self, write: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::new(
                format!("the statement is nested more than {DEPTH_MAX} levels deep"),
                "join conditions by one group (`where_any`, `where_all`) instead of one in another",
            ));
        }
        self.depth += 1;
        let outcome = write(self);
        self.depth -= 1;
        outcome
    }

    fn push(&mut self, text: &str) {
        self.out.text.push_str(text);
    }

    fn name(&mut self, name: &Name) {
        name.write(&mut self.out.text);
    }

    fn names(&mut self, names: &[Name]) {
        for (number, name) in names.iter().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            self.name(name);
        }
    }

    fn alias(&mut self, alias: Option<&Name>) {
        if let Some(alias) = alias {
            self.push(" as ");
            self.name(alias);
        }
    }

    /// Writes each with a comma between.
    fn list<T>(
        &mut self,
        list: &mut [T],
        mut write: impl FnMut(&mut Self, &mut T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (number, element) in list.iter_mut().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            write(self, element)?;
        }
        Ok(())
    }

    /// The next parameter.
    #[inline]
    fn value(&mut self, value: &mut V) {
        self.out.values.push(std::mem::take(value));
        self.parameter(self.out.values.len());
    }

    fn parameter(&mut self, number: usize) {
        self.push("$");
        self.number(number);
    }

    fn number(&mut self, number: usize) {
        // Digit by digit, since `write!` takes longer than all the rest of a small statement.
        if number >= 10 {
            self.number(number / 10);
        }
        let digit = u8::try_from(number % 10).unwrap_or(0);
        self.out.text.push(char::from(b'0' + digit));
    }

    /// The next parameter with its own type, where nothing else says it.
    fn typed_value(&mut self, value: &mut V) {
        let name = value.type_name();
        self.value(value);
        if let Some(name) = name {
            self.push("::");
            self.push(name);
        }
    }

    fn order(&mut self, order: &mut [Order<V>]) -> Result<(), Error> {
        if order.is_empty() {
            return Ok(());
        }
        self.push(" order by ");
        self.list(order, Self::step)
    }

    fn step(&mut self, step: &mut Order<V>) -> Result<(), Error> {
        self.bare(&mut step.by)?;
        if step.direction == Direction::Desc {
            self.push(" desc");
        }
        match step.nulls {
            None => {}
            Some(Nulls::First) => self.push(" nulls first"),
            Some(Nulls::Last) => self.push(" nulls last"),
        }
        Ok(())
    }

    /// Notes that a table is read, unless the name is that of a CTE.
    fn reads(&mut self, table: &mut Table) {
        if table.schema.is_none() && self.ctes.contains(&table.name) {
            return;
        }
        self.out.read.add(table.take());
    }

    /// WITH; `types` is what stands first in it. Returns the lists of these types.
    fn with(
        &mut self,
        with: &mut [Cte<V>],
        types: Option<Types<'_, V>>,
    ) -> Result<Vec<Columns<V>>, Error> {
        let mut lists = Vec::new();
        if with.is_empty() && types.is_none() {
            return Ok(lists);
        }
        self.push("with ");
        if with.iter().any(|cte| cte.recursive) {
            self.push("recursive ");
        }
        if let Some(types) = types {
            lists = self.types(types)?;
            if !with.is_empty() {
                self.push(", ");
            }
        }
        self.list(with, Self::cte)?;
        self.push(" ");
        Ok(lists)
    }

    fn cte(&mut self, cte: &mut Cte<V>) -> Result<(), Error> {
        self.name(&cte.name);
        if !cte.columns.is_empty() {
            self.push(" (");
            self.names(&cte.columns);
            self.push(")");
        }
        self.push(match cte.materialized {
            None => " as (",
            Some(true) => " as materialized (",
            Some(false) => " as not materialized (",
        });
        if cte.recursive {
            self.ctes.push(cte.name.clone());
        }
        self.deeper(|this| this.statement(&mut cte.statement))?;
        self.push(")");
        if !cte.recursive {
            self.ctes.push(cte.name.clone());
        }
        Ok(())
    }

    /// A query that is never run: from it the server learns what types the lists have, since each
    /// stands beside an array of its column. UNNEST by itself would not tell it.
    fn types(&mut self, types: Types<'_, V>) -> Result<Vec<Columns<V>>, Error> {
        let Types {
            table,
            columns,
            lists,
        } = types;
        if columns.len() != lists.len() || columns.is_empty() {
            return Err(Error::new(
                format!(
                    "there are {} lists for {} columns of {table}",
                    lists.len(),
                    columns.len()
                ),
                "give one list for each column, and at least one",
            ));
        }
        self.push("\"types of columns\" as (select ");
        let mut written = Vec::with_capacity(lists.len());
        for (number, (column, list)) in columns.iter().zip(lists).enumerate() {
            if number > 0 {
                self.push(", ");
            }
            self.push("coalesce(");
            let bounds = match list {
                ColumnList::Values(list) => {
                    self.value(list);
                    None
                }
                ColumnList::Arrays {
                    elements,
                    starts,
                    ends,
                } => {
                    self.value(elements);
                    Some((std::mem::take(starts), std::mem::take(ends)))
                }
            };
            let parameter = self.out.values.len();
            written.push(Columns { parameter, bounds });
            self.push(", array[");
            self.name(column);
            self.push("])");
        }
        self.push(" from ");
        table.write(&mut self.out.text);
        self.push(")");
        Ok(written)
    }

    /// `unnest($1, $2)`, of lists that [`types`](Self::types) has written.
    fn unnest(&mut self, parameters: &[usize]) {
        self.push("unnest(");
        for (number, parameter) in parameters.iter().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            self.parameter(*parameter);
        }
        self.push(")");
    }

    /// A query of the rows of lists, some of which are of arrays: each row's array is a slice of all
    /// elements.
    fn rows_of(&mut self, mut lists: Vec<Columns<V>>) {
        self.push("select ");
        // The columns that UNNEST has: a list, or both ends of a slice.
        let mut column = 0;
        for (number, list) in lists.iter().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            column += 1;
            if list.bounds.is_none() {
                self.list_column(column);
                continue;
            }
            self.parameter(list.parameter);
            self.push("[");
            self.list_column(column);
            self.push(":");
            column += 1;
            self.list_column(column);
            self.push("]");
        }
        self.push(" from unnest(");
        for (number, list) in lists.iter_mut().enumerate() {
            if number > 0 {
                self.push(", ");
            }
            match &mut list.bounds {
                None => self.parameter(list.parameter),
                Some((starts, ends)) => {
                    self.value(starts);
                    self.push("::int4[], ");
                    self.value(ends);
                    self.push("::int4[]");
                }
            }
        }
        self.push(") as \"list\" (");
        for number in 1..=column {
            if number > 1 {
                self.push(", ");
            }
            self.list_column(number);
        }
        self.push(")");
    }

    fn list_column(&mut self, number: usize) {
        self.push("\"");
        self.number(number);
        self.push("\"");
    }
}

/// Lists whose types are those of columns.
struct Types<'a, V> {
    table: &'a Table,
    columns: &'a [Name],
    lists: &'a mut [ColumnList<V>],
}

/// A list of which the type was told: its parameter, and of arrays where each begins and ends.
struct Columns<V> {
    parameter: usize,
    bounds: Option<(V, V)>,
}

impl<V> Columns<V> {
    /// The parameters, where each list has a value for each row.
    fn plain(lists: &[Self]) -> Option<Vec<usize>> {
        let plain = |list: &Self| list.bounds.is_none().then_some(list.parameter);
        lists.iter().map(plain).collect()
    }
}
