//! Where a statement has one table, its columns need not say which one they are of.
//!
//! The text is shorter then, and the same as that of the dynamic tier. In sub-queries columns keep
//! their tables: there it may matter.

use super::sql::{Distinct, Expr, Filter, Item, Name, Over, Select};

pub(super) fn select<V>(select: &mut Select<V>, table: &Name) {
    items(&mut select.items, table);
    filter(&mut select.filter, table);
    for order in &mut select.order {
        // A lone name in ORDER BY is that of a column of the result, if there is one.
        let is_of_result = match &order.by {
            Expr::Column(column) => {
                let mut aliases = select.items.iter().filter_map(|item| item.alias.as_ref());
                aliases.any(|alias| *alias == column.name)
            }
            _ => false,
        };
        if !is_of_result {
            expression(&mut order.by, table);
        }
    }
    if let Some(extra) = &mut select.extra {
        filter(&mut extra.having, table);
        for group in &mut extra.group {
            expression(group, table);
        }
        if let Distinct::On(columns) = &mut extra.distinct {
            for column in columns {
                expression(column, table);
            }
        }
    }
}

pub(super) fn items<V>(items: &mut [Item<V>], table: &Name) {
    for item in items {
        expression(&mut item.expr, table);
    }
}

pub(super) fn filter<V>(filter: &mut Filter<V>, table: &Name) {
    for condition in &mut filter.list {
        expression(condition, table);
    }
}

pub(super) fn expression<V>(expr: &mut Expr<V>, table: &Name) {
    match expr {
        Expr::Column(column) | Expr::Compare(column, _, _) => {
            drop(column.table.take_if(|own| own == table));
        }
        // Of the table itself: the typed tier makes no others.
        Expr::Written(_, qualified) => *qualified = false,
        Expr::Binary(left, _, right) | Expr::Quantified { left, right, .. } => {
            expression(left, table);
            expression(right, table);
        }
        Expr::Test(operand, _)
        | Expr::Not(operand)
        | Expr::InSelect(operand, _)
        | Expr::Cast(operand, _) => expression(operand, table),
        Expr::Between {
            operand, low, high, ..
        } => {
            for part in [operand, low, high] {
                expression(part, table);
            }
        }
        Expr::Group(_, list) | Expr::Array(list) | Expr::Row(list) => {
            for part in list {
                expression(part, table);
            }
        }
        Expr::Call(call) => {
            for argument in &mut call.arguments {
                expression(argument, table);
            }
            for order in &mut call.order {
                expression(&mut order.by, table);
            }
            filter(&mut call.filter, table);
            if let Some(Over::Window(window)) = &mut call.over {
                for part in &mut window.partition {
                    expression(part, table);
                }
                for order in &mut window.order {
                    expression(&mut order.by, table);
                }
            }
        }
        Expr::Case(case) => {
            for branch in &mut case.branches {
                filter(&mut branch.when, table);
                expression(&mut branch.then, table);
            }
            if let Some(otherwise) = &mut case.otherwise {
                expression(otherwise, table);
            }
        }
        // The typed tier makes no others, or they hold no columns of this table.
        _ => {}
    }
}
