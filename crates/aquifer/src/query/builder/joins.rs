use std::borrow::Cow;

use aquifer_core::sql::{self, Filter, Join, JoinKind, Name, Source};
use aquifer_wire::types::Value;

use super::super::Tree;
use super::super::attached::Loose;
use super::super::draft::{Draft, comparison};
use super::super::input::{IntoExpression, IntoFragment, IntoOperator, IntoSource};
use super::{QueryBuilder, SubQuery};

fn on(
    left: impl IntoExpression,
    operator: impl IntoOperator,
    right: impl IntoExpression,
) -> Result<Tree, sql::Error> {
    let (left, right) = (left.into_expression().tree?, right.into_expression().tree?);
    comparison(left, operator.into_operator()?, right)
}

macro_rules! joins {
    ($($(#[doc = $doc:literal])+ $name:ident $kind:ident;)+) => {$(
        $(#[doc = $doc])+
        pub fn $name(
            mut self,
            table: impl IntoSource,
            left: impl IntoExpression,
            operator: impl IntoOperator,
            right: impl IntoExpression,
        ) -> Self {
            self.draft.join(JoinKind::$kind, table.into_source(), on(left, operator, right));
            self
        }
    )+};
}

/// Joins: `join("posts as p", "p.user_id", "=", "u.id")`; both sides are columns or expressions.
impl<S> QueryBuilder<S> {
    joins! {
        /// Pairs of rows that belong together.
        join Inner;
        /// Pairs of rows that belong together; the same as `join`.
        inner_join Inner;
        /// Pairs, and the rows on the left that have none.
        left_join Left;
        /// Pairs, and the rows on the right that have none.
        right_join Right;
        /// Pairs, and the rows on both sides that have none.
        full_join Full;
    }

    /// Each row with each.
    pub fn cross_join(mut self, table: impl IntoSource) -> Self {
        let source = table.into_source();
        self.push_join(JoinKind::Cross, source, Filter::default());
        self
    }

    /// A join whose condition is that of a closure, by `where_column`, `where_` and their like.
    ///
    /// ```
    /// # use aquifer::query::{self, JoinKind};
    /// let sql = query::from("users as u")
    ///     .join_on(JoinKind::Left, "posts as p", |on| {
    ///         on.where_column("p.user_id", "=", "u.id").where_("p.public", "=", true)
    ///     })
    ///     .to_sql()?;
    /// assert_eq!(
    ///     sql,
    ///     r#"select * from "users" as "u" left join "posts" as "p" on "p"."user_id" = "u"."id" and "p"."public" = $1"#
    /// );
    /// # Ok::<(), aquifer::Error>(())
    /// ```
    pub fn join_on(
        mut self,
        kind: JoinKind,
        table: impl IntoSource,
        condition: impl FnOnce(SubQuery) -> SubQuery,
    ) -> Self {
        let empty = QueryBuilder {
            session: Loose,
            draft: Draft::default(),
        };
        let select = condition(empty).draft.into_select();
        if let Some(select) = self.draft.keep(select) {
            self.push_join(kind, table.into_source(), select.filter);
        }
        self
    }

    /// A join by columns that have the same name on both sides.
    pub fn join_using<N: Into<Cow<'static, str>>>(
        mut self,
        kind: JoinKind,
        table: impl IntoSource,
        columns: impl IntoIterator<Item = N>,
    ) -> Self {
        let names: Result<Vec<_>, _> = columns.into_iter().map(Name::new).collect();
        let source = table.into_source();
        if let (Some(source), Some(using)) = (self.draft.keep(source), self.draft.keep(names)) {
            self.draft.select.joins.push(Join {
                kind,
                source,
                on: Filter::default(),
                using,
            });
        }
        self
    }

    /// For each row, the rows of a query that may use it; rows without any are kept by
    /// [`JoinKind::Left`].
    pub fn join_lateral<Q>(
        mut self,
        kind: JoinKind,
        query: QueryBuilder<Q>,
        alias: impl Into<Cow<'static, str>>,
    ) -> Self {
        let source = query.draft.into_select().and_then(|select| {
            Ok(Source::Select {
                select,
                alias: Name::new(alias)?,
                lateral: true,
            })
        });
        let on = match kind {
            JoinKind::Cross => Filter::default(),
            _ => Filter::from(Tree::Constant(sql::Constant::True)),
        };
        self.push_join(kind, source, on);
        self
    }

    /// A sub-query written by hand, joined by columns or expressions.
    pub fn join_raw(
        mut self,
        kind: JoinKind,
        query: impl IntoFragment,
        alias: impl Into<Cow<'static, str>>,
        condition: impl IntoExpression,
    ) -> Self {
        let source = query.into_fragment().and_then(|fragment| {
            Ok(Source::Raw {
                fragment,
                alias: Name::new(alias)?,
            })
        });
        self.draft
            .join(kind, source, condition.into_expression().tree);
        self
    }

    fn push_join(
        &mut self,
        kind: JoinKind,
        source: Result<Source<Value>, sql::Error>,
        on: Filter<Value>,
    ) {
        if let Some(source) = self.draft.keep(source) {
            self.draft.select.joins.push(Join {
                kind,
                source,
                on,
                using: Vec::new(),
            });
        }
    }
}
