use super::Renderer;
use crate::sql::{
    Bind, Combination, Distinct, Error, Expr, Item, Join, JoinKind, Lock, LockStrength, LockWait,
    Name, Select, SelectExtra, SetOperator, Source, Window,
};

impl<V: Bind> Renderer<V> {
    pub(super) fn select(&mut self, select: &mut Select<V>) -> Result<(), Error> {
        let known = self.ctes.len();
        match select.extra.take() {
            None => {
                self.push("select ");
                self.items(&mut select.items)?;
                self.from(" from ", &mut select.from, &mut select.joins)?;
                self.filter(" where ", &mut select.filter)?;
                self.order(&mut select.order)?;
                self.limit(&mut select.limit, &mut select.offset);
            }
            Some(mut extra) => self.select_with_extra(select, &mut extra)?,
        }
        self.ctes.truncate(known);
        Ok(())
    }

    fn select_with_extra(
        &mut self,
        select: &mut Select<V>,
        extra: &mut SelectExtra<V>,
    ) -> Result<(), Error> {
        self.with(&mut extra.with, None)?;
        self.push("select ");
        match &mut extra.distinct {
            Distinct::No => {}
            Distinct::Rows => self.push("distinct "),
            Distinct::On(list) => {
                self.push("distinct on (");
                self.list(list, Self::bare)?;
                self.push(") ");
            }
        }
        self.items(&mut select.items)?;
        self.from(" from ", &mut select.from, &mut select.joins)?;
        self.filter(" where ", &mut select.filter)?;
        if !extra.group.is_empty() {
            self.push(" group by ");
            self.list(&mut extra.group, Self::bare)?;
        }
        self.filter(" having ", &mut extra.having)?;
        self.windows(&mut extra.windows)?;
        for combination in &mut extra.combine {
            self.combination(combination)?;
        }
        if extra.with_ties {
            self.ties(select)?;
        } else {
            self.order(&mut select.order)?;
            self.limit(&mut select.limit, &mut select.offset);
        }
        for lock in &extra.locks {
            self.lock(lock);
        }
        Ok(())
    }

    pub(super) fn items(&mut self, items: &mut [Item<V>]) -> Result<(), Error> {
        if items.is_empty() {
            self.push("*");
            return Ok(());
        }
        self.list(items, |this, item| {
            this.selected(&mut item.expr)?;
            this.alias(item.alias.as_ref());
            Ok(())
        })
    }

    pub(super) fn from(
        &mut self,
        keyword: &str,
        from: &mut Option<Source<V>>,
        joins: &mut [Join<V>],
    ) -> Result<(), Error> {
        let Some(from) = from else {
            if let Some(join) = joins.first() {
                return Err(Error::new(
                    format!("{} is joined with nothing", join.source.name()),
                    "name a table by `from` first",
                ));
            }
            return Ok(());
        };
        self.push(keyword);
        self.source(from)?;
        for join in joins {
            self.join(join)?;
        }
        Ok(())
    }

    fn join(&mut self, join: &mut Join<V>) -> Result<(), Error> {
        self.push(match join.kind {
            JoinKind::Inner => " join ",
            JoinKind::Left => " left join ",
            JoinKind::Right => " right join ",
            JoinKind::Full => " full join ",
            JoinKind::Cross => " cross join ",
        });
        let named = join.kind != JoinKind::Cross;
        if named && join.on.is_empty() && join.using.is_empty() {
            return Err(Error::new(
                format!("the join of {} has no condition", join.source.name()),
                "say which rows belong together, or use `cross_join` where all are meant",
            ));
        }
        let lateral = matches!(
            join.source,
            Source::Select { lateral: true, .. } | Source::Call { lateral: true, .. }
        );
        if named
            && !lateral
            && join.using.is_empty()
            && self.out.unconnected.is_none()
            && !join
                .on
                .list
                .iter()
                .any(|condition| connects(condition, join.source.name()))
        {
            self.out.unconnected = Some(join.source.name().clone());
        }
        self.source(&mut join.source)?;
        if !join.using.is_empty() {
            self.push(" using (");
            self.names(&join.using);
            self.push(")");
        }
        self.filter(" on ", &mut join.on)
    }

    fn source(&mut self, source: &mut Source<V>) -> Result<(), Error> {
        match source {
            Source::Table { table, alias } => {
                table.write(&mut self.out.text);
                self.alias(alias.as_ref());
                self.reads(table);
                Ok(())
            }
            Source::Select {
                select,
                alias,
                lateral,
            } => {
                self.push(if *lateral { "lateral " } else { "" });
                self.sub_query(select)?;
                self.alias(Some(alias));
                Ok(())
            }
            Source::Call {
                call,
                alias,
                columns,
                lateral,
            } => {
                self.push(if *lateral { "lateral " } else { "" });
                self.deeper(|this| this.call(call))?;
                self.columns_alias(alias, columns);
                Ok(())
            }
            Source::Raw { fragment, alias } => {
                self.push("(");
                self.fragment(fragment)?;
                self.push(")");
                self.alias(Some(alias));
                Ok(())
            }
            Source::Values {
                rows,
                alias,
                columns,
            } => {
                self.push("(values ");
                self.list(rows, |this, row| {
                    this.push("(");
                    this.list(row, Self::selected)?;
                    this.push(")");
                    Ok(())
                })?;
                self.push(")");
                self.columns_alias(alias, columns);
                Ok(())
            }
        }
    }

    pub(super) fn columns_alias(&mut self, alias: &Name, columns: &[Name]) {
        self.alias(Some(alias));
        if !columns.is_empty() {
            self.push(" (");
            self.names(columns);
            self.push(")");
        }
    }

    pub(super) fn sub_query(&mut self, select: &mut Select<V>) -> Result<(), Error> {
        self.push("(");
        self.deeper(|this| this.select(select))?;
        self.push(")");
        Ok(())
    }

    fn windows(&mut self, windows: &mut [(Name, Window<V>)]) -> Result<(), Error> {
        if windows.is_empty() {
            return Ok(());
        }
        self.push(" window ");
        self.list(windows, |this, (name, window)| {
            this.name(name);
            this.push(" as ");
            this.window(window)
        })
    }

    fn combination(&mut self, combination: &mut Combination<V>) -> Result<(), Error> {
        self.push(match combination.operator {
            SetOperator::Union => " union ",
            SetOperator::Intersect => " intersect ",
            SetOperator::Except => " except ",
        });
        if combination.all {
            self.push("all ");
        }
        self.sub_query(&mut combination.select)
    }

    fn limit(&mut self, limit: &mut Option<V>, offset: &mut Option<V>) {
        if let Some(limit) = limit {
            self.push(" limit ");
            self.value(limit);
        }
        if let Some(offset) = offset {
            self.push(" offset ");
            self.value(offset);
        }
    }

    fn ties(&mut self, select: &mut Select<V>) -> Result<(), Error> {
        let (false, Some(limit)) = (select.order.is_empty(), &mut select.limit) else {
            return Err(Error::new(
                "WITH TIES without an order or without a limit",
                "say `order_by` and `limit`: rows are ties of the last one by that order",
            ));
        };
        self.order(&mut select.order)?;
        if let Some(offset) = &mut select.offset {
            self.push(" offset ");
            self.value(offset);
        }
        self.push(" fetch first (");
        self.value(limit);
        self.push(") rows with ties");
        Ok(())
    }

    fn lock(&mut self, lock: &Lock) {
        self.out.locks = true;
        self.push(match lock.strength {
            LockStrength::Update => " for update",
            LockStrength::NoKeyUpdate => " for no key update",
            LockStrength::Share => " for share",
            LockStrength::KeyShare => " for key share",
        });
        if !lock.of.is_empty() {
            self.push(" of ");
            self.names(&lock.of);
        }
        self.push(match lock.wait {
            LockWait::Wait => "",
            LockWait::SkipLocked => " skip locked",
            LockWait::NoWait => " nowait",
        });
    }
}

/// Whether a condition may say which rows of a source go with which others: it names a column of the
/// source and one of another, or hides what it names.
fn connects<V>(condition: &Expr<V>, source: &Name) -> bool {
    match condition {
        Expr::Compare(..) | Expr::Constant(_) => false,
        Expr::Test(operand, _) | Expr::Not(operand) => connects(operand, source),
        Expr::Binary(left, _, right) => match (&**left, &**right) {
            (Expr::Column(left), Expr::Column(right)) => match (&left.table, &right.table) {
                (Some(left), Some(right)) => left != right && (left == source || right == source),
                // One without its table may be of any.
                _ => true,
            },
            (Expr::Column(_), Expr::Value(_)) | (Expr::Value(_), Expr::Column(_)) => false,
            _ => true,
        },
        Expr::Group(_, list) => list.iter().any(|condition| connects(condition, source)),
        _ => true,
    }
}
