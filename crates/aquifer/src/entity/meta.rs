use aquifer_core::sql::{StaticName, Written};
use aquifer_wire::types::ColumnType;

/// What is known of an entity's table: made by `#[derive(Entity)]`.
#[derive(Debug)]
pub struct Meta {
    entity: &'static str,
    schema: Option<&'static str>,
    table: StaticName,
    columns: &'static [ColumnMeta],
    soft_delete: Option<&'static ColumnMeta>,
    written: Written,
}

/// What is known of a column: made by `#[derive(Entity)]`.
#[derive(Debug)]
pub struct ColumnMeta {
    field: &'static str,
    name: &'static str,
    nullable: bool,
    key: bool,
    auto: bool,
    default: bool,
    soft_delete: bool,
    version: bool,
}

impl Meta {
    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        entity: &'static str,
        schema: Option<&'static str>,
        table: &'static str,
        columns: &'static [ColumnMeta],
    ) -> Self {
        Self {
            entity,
            schema,
            table: super::check::static_name(table),
            columns,
            soft_delete: find_soft_delete(columns),
            written: Written {
                qualified: "",
                plain: "",
            },
        }
    }

    /// For the derive: all columns as a select list, with their table and without.
    #[doc(hidden)]
    #[must_use]
    pub const fn written(mut self, qualified: &'static str, plain: &'static str) -> Self {
        self.written = Written { qualified, plain };
        self
    }

    pub(super) fn select_list(&'static self) -> &'static Written {
        &self.written
    }

    /// The struct's name.
    #[must_use]
    pub const fn entity(&self) -> &'static str {
        self.entity
    }

    /// The table's schema, if the struct names it.
    #[must_use]
    pub const fn schema(&self) -> Option<&'static str> {
        self.schema
    }

    /// The table.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.table.as_str()
    }

    pub(super) const fn name(&self) -> StaticName {
        self.table
    }

    /// The columns, in the order of the fields.
    #[must_use]
    pub const fn columns(&self) -> &'static [ColumnMeta] {
        self.columns
    }

    /// The columns of the primary key.
    pub fn key(&self) -> impl Iterator<Item = &'static ColumnMeta> {
        self.columns.iter().filter(|column| column.key)
    }

    /// The column that marks rows as deleted.
    #[must_use]
    pub const fn soft_delete(&self) -> Option<&'static ColumnMeta> {
        self.soft_delete
    }

    /// The column that counts the changes of a row.
    #[must_use]
    pub fn version(&self) -> Option<&'static ColumnMeta> {
        self.columns.iter().find(|column| column.version)
    }
}

const fn find_soft_delete(mut columns: &'static [ColumnMeta]) -> Option<&'static ColumnMeta> {
    while let [first, behind @ ..] = columns {
        if first.soft_delete {
            return Some(first);
        }
        columns = behind;
    }
    None
}

impl ColumnMeta {
    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<T: ColumnType>(field: &'static str, name: &'static str) -> Self {
        Self {
            field,
            name,
            nullable: T::NULLABLE,
            key: false,
            auto: false,
            default: false,
            soft_delete: false,
            version: false,
        }
    }

    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn key(mut self) -> Self {
        self.key = true;
        self
    }

    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn auto(mut self) -> Self {
        self.auto = true;
        self
    }

    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn default(mut self) -> Self {
        self.default = true;
        self
    }

    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn soft_delete(mut self) -> Self {
        self.soft_delete = true;
        self
    }

    /// For the derive.
    #[doc(hidden)]
    #[must_use]
    pub const fn version(mut self) -> Self {
        self.version = true;
        self
    }

    /// The field's name.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        self.field
    }

    /// The column's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it takes NULL.
    #[must_use]
    pub const fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Whether it is the primary key, or a part of it.
    #[must_use]
    pub const fn is_key(&self) -> bool {
        self.key
    }

    /// Whether it counts the changes of a row.
    #[must_use]
    pub const fn is_version(&self) -> bool {
        self.version
    }

    /// Whether the database always fills it.
    #[must_use]
    pub const fn is_auto(&self) -> bool {
        self.auto
    }

    /// Whether an insert must say its value.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        !(self.nullable || self.auto || self.default || self.soft_delete || self.version)
    }
}
