use super::{Error, Expr, Filter, Name, Order};

/// A function, aggregate or window function with its arguments.
#[derive(Clone, Debug)]
pub struct Call<V> {
    /// Which one.
    pub function: Function,
    /// Its arguments.
    pub arguments: Vec<Expr<V>>,
    /// Each value once: `count(distinct x)`.
    pub distinct: bool,
    /// The order in which an aggregate sees its values.
    pub order: Vec<Order<V>>,
    /// Whether that order says of what the aggregate is taken, as `percentile_cont` needs it:
    /// `within group (order by …)`.
    pub within_group: bool,
    /// `filter (where …)`.
    pub filter: Filter<V>,
    /// `over (…)`, which makes it a window function.
    pub over: Option<Over<V>>,
}

impl<V> Call<V> {
    /// That function of these arguments.
    #[must_use]
    pub fn new(function: Function, arguments: Vec<Expr<V>>) -> Self {
        Self {
            function,
            arguments,
            distinct: false,
            order: Vec::new(),
            within_group: false,
            filter: Filter::default(),
            over: None,
        }
    }
}

impl<V> From<Call<V>> for Expr<V> {
    fn from(call: Call<V>) -> Self {
        Self::Call(Box::new(call))
    }
}

/// The name of a function: `lower`, or `app.score`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    schema: Option<Name>,
    name: Name,
    bare: bool,
}

/// Functions that are written without quotes: part of SQL's grammar, or so common that quotes would
/// only be in the way. Sorted.
const BARE: &[&str] = &[
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "coalesce",
    "count",
    "cume_dist",
    "date_part",
    "date_trunc",
    "dense_rank",
    "first_value",
    "greatest",
    "jsonb_agg",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_set",
    "lag",
    "last_value",
    "lead",
    "least",
    "lower",
    "max",
    "min",
    "mode",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "rank",
    "row_number",
    "string_agg",
    "sum",
    "to_tsvector",
    "ts_rank",
    "unnest",
    "upper",
    "websearch_to_tsquery",
];

impl Function {
    /// Reads `lower` or `app.score`.
    ///
    /// # Errors
    /// When a part is no name.
    pub fn parse(text: &'static str) -> Result<Self, Error> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(Name::new(schema)?), name),
            None => (None, text),
        };
        Ok(Self {
            bare: schema.is_none() && BARE.binary_search(&name).is_ok(),
            schema,
            name: Name::new(name)?,
        })
    }

    pub(super) fn write(&self, out: &mut String) {
        if self.bare {
            out.push_str(self.name.as_str());
            return;
        }
        if let Some(schema) = &self.schema {
            schema.write(out);
            out.push('.');
        }
        self.name.write(out);
    }
}

/// The window of a window function.
#[derive(Clone, Debug)]
pub enum Over<V> {
    /// One that the statement names.
    Named(Name),
    /// One of its own.
    Window(Box<Window<V>>),
}

/// Which rows a window function sees.
#[derive(Clone, Debug)]
pub struct Window<V> {
    /// Rows that have these in common.
    pub partition: Vec<Expr<V>>,
    /// In this order.
    pub order: Vec<Order<V>>,
    /// And of those only these.
    pub frame: Option<Frame>,
}

impl<V> Default for Window<V> {
    fn default() -> Self {
        Self {
            partition: Vec::new(),
            order: Vec::new(),
            frame: None,
        }
    }
}

/// The rows around the current one that a window function sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What is counted.
    pub unit: FrameUnit,
    /// From here.
    pub start: FrameEdge,
    /// To here.
    pub end: FrameEdge,
}

/// What the edges of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnit {
    /// Rows.
    Rows,
    /// Distances of the value that orders them.
    Range,
    /// Groups of rows that are equal by the order.
    Groups,
}

/// An edge of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameEdge {
    /// The first row.
    UnboundedPreceding,
    /// So many before the current one.
    Preceding(u32),
    /// The current one.
    CurrentRow,
    /// So many behind the current one.
    Following(u32),
    /// The last row.
    UnboundedFollowing,
}

#[cfg(test)]
mod tests {
    use super::BARE;

    #[test]
    fn the_list_is_sorted_as_its_search_needs_it() {
        assert!(BARE.is_sorted());
    }
}
