use super::{Columns, Renderer, Types};
use crate::sql::{
    Assignment, Bind, Conflict, ConflictAction, ConflictTarget, Constant, Delete, Error, Expr,
    Filter, Insert, InsertSource, Item, Table, Update,
};

impl<V: Bind> Renderer<V> {
    pub(super) fn insert(&mut self, insert: &mut Insert<V>) -> Result<(), Error> {
        let types = match &mut insert.source {
            InsertSource::Lists(lists) => Some(Types {
                table: &insert.into,
                columns: &insert.columns,
                lists,
            }),
            _ => None,
        };
        let known = self.ctes.len();
        let lists = self.with(&mut insert.with, types)?;
        self.push("insert into ");
        insert.into.write(&mut self.out.text);
        if !insert.columns.is_empty() {
            self.push(" (");
            self.names(&insert.columns);
            self.push(")");
        }
        match &mut insert.source {
            InsertSource::Lists(_) => match Columns::plain(&lists) {
                Some(numbers) => {
                    self.push(" select * from ");
                    self.unnest(&numbers);
                }
                None => {
                    self.push(" ");
                    self.rows_of(lists);
                }
            },
            source => self.insert_source(source, insert.columns.len())?,
        }
        self.out.written.add(insert.into.take());
        if let Some(conflict) = &mut insert.conflict {
            self.conflict(conflict)?;
        }
        self.returning(&mut insert.returning)?;
        self.ctes.truncate(known);
        Ok(())
    }

    fn insert_source(&mut self, source: &mut InsertSource<V>, columns: usize) -> Result<(), Error> {
        match source {
            InsertSource::Defaults => self.push(" default values"),
            InsertSource::Rows(rows) => {
                if rows.is_empty()
                    || rows
                        .iter()
                        .any(|row| row.len() != columns || row.is_empty())
                {
                    return Err(Error::new(
                        format!(
                            "rows to be inserted don't have one value for each of {columns} columns"
                        ),
                        "give all rows the same columns, and at least one row",
                    ));
                }
                self.push(" values ");
                self.list(rows, |this, row| {
                    this.push("(");
                    this.list(row, Self::assigned)?;
                    this.push(")");
                    Ok(())
                })?;
            }
            // Written by `unnest`.
            InsertSource::Lists(_) => {}
            InsertSource::Select(select) => {
                // In parentheses: its WITH must not be taken for that of the INSERT.
                self.push(" ");
                self.sub_query(select)?;
            }
        }
        Ok(())
    }

    fn conflict(&mut self, conflict: &mut Conflict<V>) -> Result<(), Error> {
        self.push(" on conflict");
        let named = match &mut conflict.target {
            ConflictTarget::Any => false,
            ConflictTarget::Columns(columns, filter) => {
                if columns.is_empty() {
                    return Err(Error::new(
                        "ON CONFLICT names no column",
                        "name the columns of a unique index, or the constraint",
                    ));
                }
                self.push(" (");
                self.names(columns);
                self.push(")");
                let before = self.out.values.len();
                self.filter(" where ", filter)?;
                if self.out.values.len() > before {
                    return Err(value_in_index());
                }
                true
            }
            ConflictTarget::Constraint(name) => {
                self.push(" on constraint ");
                self.name(name);
                true
            }
        };
        match &mut conflict.action {
            ConflictAction::Nothing => self.push(" do nothing"),
            ConflictAction::Update { .. } if !named => {
                return Err(Error::new(
                    "ON CONFLICT DO UPDATE does not say which rows are the same",
                    "name the columns of a unique index, or the constraint",
                ));
            }
            ConflictAction::Update { set, filter } => {
                self.push(" do update set ");
                self.assignments(set)?;
                self.filter(" where ", filter)?;
            }
        }
        Ok(())
    }

    pub(super) fn update(&mut self, update: &mut Update<V>) -> Result<(), Error> {
        let Update {
            with,
            table,
            alias,
            set,
            lists,
            from,
            joins,
            filter,
            all_rows,
            returning,
        } = update;
        // Rows that are given are joined by a condition, so that it is never all of the table.
        check_filter("UPDATE", table, filter, *all_rows)?;
        let types = lists.as_mut().map(|given| Types {
            table,
            columns: &given.columns,
            lists: &mut given.lists,
        });
        let known = self.ctes.len();
        let columns = self.with(with, types)?;
        self.push("update ");
        table.write(&mut self.out.text);
        self.alias(alias.as_ref());
        self.push(" set ");
        self.assignments(set)?;
        match lists {
            None => self.from(" from ", from, joins)?,
            Some(given) => {
                self.push(" from ");
                match Columns::plain(&columns) {
                    Some(numbers) => self.unnest(&numbers),
                    None => {
                        self.push("(");
                        self.rows_of(columns);
                        self.push(")");
                    }
                }
                self.columns_alias(&given.alias, &given.columns);
                self.from(", ", from, joins)?;
            }
        }
        self.out.written.add(table.take());
        self.filter(" where ", filter)?;
        self.returning(returning)?;
        self.ctes.truncate(known);
        Ok(())
    }

    pub(super) fn delete(&mut self, delete: &mut Delete<V>) -> Result<(), Error> {
        check_filter("DELETE", &delete.table, &delete.filter, delete.all_rows)?;
        let known = self.ctes.len();
        self.with(&mut delete.with, None)?;
        self.push("delete from ");
        delete.table.write(&mut self.out.text);
        self.alias(delete.alias.as_ref());
        self.from(" using ", &mut delete.using, &mut delete.joins)?;
        self.out.written.add(delete.table.take());
        self.filter(" where ", &mut delete.filter)?;
        self.returning(&mut delete.returning)?;
        self.ctes.truncate(known);
        Ok(())
    }

    fn assignments(&mut self, set: &mut [Assignment<V>]) -> Result<(), Error> {
        if set.is_empty() {
            return Err(Error::new(
                "UPDATE sets no column",
                "give it at least one value",
            ));
        }
        self.list(set, |this, assignment| {
            this.name(&assignment.column);
            this.push(" = ");
            this.assigned(&mut assignment.value)
        })
    }

    /// A value that a column is set to, from which the server knows its type.
    fn assigned(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Constant(Constant::Default) => {
                self.push("default");
                Ok(())
            }
            expr => self.expr(expr),
        }
    }

    fn returning(&mut self, returning: &mut [Item<V>]) -> Result<(), Error> {
        if returning.is_empty() {
            return Ok(());
        }
        self.push(" returning ");
        self.items(returning)
    }
}

#[cold]
fn value_in_index() -> Error {
    Error::new(
        "the condition of a partial index has a value, which would be a parameter",
        "the server must know it when it plans: say `literal(…)` instead of the value, or raw text",
    )
}

fn check_filter<V>(
    what: &str,
    table: &Table,
    filter: &Filter<V>,
    all_rows: bool,
) -> Result<(), Error> {
    if !all_rows && filter.is_always_true() {
        return Err(Error::new(
            format!("{what} of {table} has no condition and would take all rows"),
            "add a condition, or say `all_rows()` where that is meant",
        ));
    }
    Ok(())
}
