use std::borrow::Cow;

use aquifer_core::sql::{self, Distinct, Name, Nulls};

use super::super::draft::{comparison, rows};
use super::super::expression::{fragment, order};
use super::super::input::{
    Expressions, IntoDirection, IntoExpression, IntoFragment, IntoOperand, IntoOperator, Items,
};
use super::super::window::Window;
use super::super::{Item, Order};
use super::QueryBuilder;

/// What is selected, in which groups and which order, and how much of it.
impl<S> QueryBuilder<S> {
    /// The columns, instead of all: names (`id`, `u.id`, `name as label`, `u.*`) and expressions.
    ///
    /// ```
    /// # use aquifer::query::{self, count_all};
    /// let sql = query::from("users as u").select(("u.id", "name as label", count_all())).to_sql()?;
    /// assert_eq!(sql, r#"select "u"."id", "name" as "label", count(*) from "users" as "u""#);
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    #[inline]
    pub fn select(mut self, items: impl Items) -> Self {
        if let Some(items) = self.draft.keep(items.into_items()) {
            self.draft.select.items = items.into();
        }
        self
    }

    /// Further columns.
    pub fn add_select(mut self, items: impl Items) -> Self {
        if let Some(items) = self.draft.keep(items.into_items()) {
            self.draft.select.items.extend(items);
        }
        self
    }

    /// One more column by SQL text, with its name.
    pub fn select_raw(
        mut self,
        text: impl IntoFragment,
        alias: impl Into<Cow<'static, str>>,
    ) -> Self {
        let item = fragment(text).and_then(|expr| {
            Ok(Item {
                expr,
                alias: Some(Name::new(alias)?),
            })
        });
        if let Some(item) = self.draft.keep(item) {
            self.draft.select.items.push(item);
        }
        self
    }

    /// Each row once.
    pub fn distinct(mut self) -> Self {
        self.draft.select.extra().distinct = Distinct::Rows;
        self
    }

    /// Of rows that have these in common, the first by the order.
    pub fn distinct_on(mut self, columns: impl Expressions) -> Self {
        if let Some(columns) = self.draft.keep(columns.into_trees()) {
            self.draft.select.extra().distinct = Distinct::On(columns);
        }
        self
    }

    /// One row for each group of rows that have these in common.
    #[doc(alias = "groupBy")]
    pub fn group_by(mut self, columns: impl Expressions) -> Self {
        if let Some(columns) = self.draft.keep(columns.into_trees()) {
            self.draft.select.extra().group.extend(columns);
        }
        self
    }

    /// Only groups of which this holds, as in `having(count_all(), ">", 5)`.
    pub fn having(
        mut self,
        left: impl IntoExpression,
        operator: impl IntoOperator,
        value: impl IntoOperand,
    ) -> Self {
        let condition = left
            .into_expression()
            .tree
            .and_then(|left| comparison(left, operator.into_operator()?, value.into_operand()?));
        if let Some(condition) = self.draft.keep(condition) {
            self.draft.select.extra().having.push(condition);
        }
        self
    }

    /// As [`having`](Self::having), by SQL text.
    pub fn having_raw(mut self, text: impl IntoFragment) -> Self {
        if let Some(condition) = self.draft.keep(fragment(text)) {
            self.draft.select.extra().having.push(condition);
        }
        self
    }

    /// Names a window for [`over_named`](super::super::Expression::over_named).
    pub fn window(mut self, name: impl Into<Cow<'static, str>>, window: Window) -> Self {
        let named = Name::new(name).and_then(|name| Ok((name, window.tree?)));
        if let Some(named) = self.draft.keep(named) {
            self.draft.select.extra().windows.push(named);
        }
        self
    }

    /// The next step of the order: a column or expression, and `Asc`, `Desc`, `"asc"` or `"desc"`.
    ///
    /// For a column that somebody else chooses see [`sortable`](Self::sortable).
    #[doc(alias = "orderBy")]
    #[inline]
    pub fn order_by(mut self, by: impl IntoExpression, direction: impl IntoDirection) -> Self {
        let step = direction
            .into_direction()
            .and_then(|direction| order(by, direction, None));
        self.push_order(step);
        self
    }

    /// As [`order_by`](Self::order_by), and says where NULL stands.
    pub fn order_by_nulls(
        mut self,
        by: impl IntoExpression,
        direction: impl IntoDirection,
        nulls: Nulls,
    ) -> Self {
        let step = direction
            .into_direction()
            .and_then(|direction| order(by, direction, Some(nulls)));
        self.push_order(step);
        self
    }

    /// The next steps of the order by SQL text.
    pub fn order_by_raw(mut self, text: impl IntoFragment) -> Self {
        let step = fragment(text).map(|by| Order {
            by,
            direction: sql::Direction::Asc,
            nulls: None,
        });
        self.push_order(step);
        self
    }

    /// The next step of the order by a column that comes from outside, if it is one of these.
    ///
    /// ```
    /// # use aquifer::query;
    /// let asked = String::from("password");
    /// let sorted = query::from("users").sortable(["name", "created_at"], &asked, "asc");
    /// let error = sorted.to_sql().unwrap_err().to_string();
    /// assert!(error.contains("name, created_at"));
    /// ```
    pub fn sortable(
        mut self,
        allowed: impl IntoIterator<Item = &'static str>,
        asked: &str,
        direction: impl IntoDirection,
    ) -> Self {
        let allowed: Vec<_> = allowed.into_iter().collect();
        let step = match allowed.iter().find(|name| **name == asked) {
            Some(name) => direction
                .into_direction()
                .and_then(|direction| order(*name, direction, None)),
            None => Err(not_sortable(&allowed, asked)),
        };
        self.push_order(step);
        self
    }

    /// Forgets the order.
    pub fn reorder(mut self) -> Self {
        self.draft.select.order.clear();
        self
    }

    #[inline]
    fn push_order(&mut self, step: Result<Order, sql::Error>) {
        if let Some(step) = self.draft.keep(step) {
            self.draft.select.order.push(step);
        }
    }

    /// At most so many rows.
    #[inline]
    pub fn limit(mut self, count: u64) -> Self {
        self.draft.select.limit = Some(rows(count));
        self
    }

    /// Without the first so many rows. The server reads them all the same: for pages far behind see
    /// [`cursor_page`](super::QueryBuilder::cursor_page).
    pub fn offset(mut self, count: u64) -> Self {
        self.draft.select.offset = Some(rows(count));
        self
    }

    /// Besides `limit` rows also those that the order does not tell from the last one.
    pub fn with_ties(mut self) -> Self {
        self.draft.select.extra().with_ties = true;
        self
    }
}

#[cold]
fn not_sortable(allowed: &[&str], asked: &str) -> sql::Error {
    let shown: String = asked.chars().take(40).collect();
    sql::Error::new(
        format!("{shown:?} is not one of the columns that may be sorted by"),
        format!("choose one of: {}", allowed.join(", ")),
    )
}
