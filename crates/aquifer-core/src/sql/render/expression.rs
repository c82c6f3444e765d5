use super::Renderer;
use crate::sql::{
    Bind, Branch, Call, Case, Connective, Error, Expr, Filter, Fragment, Frame, FrameEdge,
    FrameUnit, Operator, Over, Window,
};

impl<V: Bind> Renderer<V> {
    /// An expression where nothing binds tighter than it: in a list, or within parentheses.
    pub(super) fn bare(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Raw(fragment) => self.fragment(fragment),
            expr => self.expr(expr),
        }
    }

    /// An expression that becomes a column, where the server can't know a parameter's type.
    pub(super) fn selected(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Value(value) => {
                self.typed_value(value);
                Ok(())
            }
            expr => self.bare(expr),
        }
    }

    pub(super) fn expr(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Column(column) => column.write(&mut self.out.text),
            Expr::Value(value) => self.value(value),
            Expr::Compare(column, operator, value) => {
                column.write(&mut self.out.text);
                self.operator(*operator);
                self.value(value);
            }
            Expr::TypedValue(value) => self.typed_value(value),
            Expr::Constant(constant) => constant.write(&mut self.out.text)?,
            Expr::All(of) => {
                if let Some(of) = of {
                    self.name(of);
                    self.push(".");
                }
                self.push("*");
            }
            Expr::Invalid(error) => return Err(error.clone()),
            Expr::Written(list, qualified) => {
                self.push(if *qualified {
                    list.qualified
                } else {
                    list.plain
                });
            }
            compound => return self.deeper(|this| this.compound(compound)),
        }
        Ok(())
    }

    fn compound(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Binary(left, operator, right) => self.binary(left, *operator, right),
            Expr::Test(operand, test) => {
                self.operand(operand)?;
                self.push(test.as_str());
                Ok(())
            }
            Expr::Not(operand) => {
                self.push("not (");
                self.bare(operand)?;
                self.push(")");
                Ok(())
            }
            Expr::Group(connective, list) => self.group(*connective, list),
            Expr::Call(call) => self.call(call),
            Expr::Cast(operand, to) => {
                self.operand(operand)?;
                self.push("::");
                self.push(to.as_str());
                Ok(())
            }
            Expr::Case(case) => self.case(case),
            Expr::Raw(fragment) => {
                self.push("(");
                self.fragment(fragment)?;
                self.push(")");
                Ok(())
            }
            Expr::Select(select) => self.sub_query(select),
            Expr::Exists(select) => {
                self.push("exists ");
                self.sub_query(select)
            }
            Expr::InSelect(left, select) => {
                self.operand(left)?;
                self.push(" in ");
                self.sub_query(select)
            }
            Expr::Array(list) => {
                self.push("array[");
                self.list(list, Self::selected)?;
                self.push("]");
                Ok(())
            }
            Expr::Row(list) => {
                self.push("(");
                self.list(list, Self::bare)?;
                self.push(")");
                Ok(())
            }
            other => self.comparison(other),
        }
    }

    fn comparison(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Quantified {
                left,
                operator,
                all,
                right,
            } => {
                self.operand(left)?;
                self.operator(*operator);
                self.push(if *all { "all (" } else { "any (" });
                match &mut **right {
                    Expr::Select(select) => self.select(select)?,
                    right => self.bare(right)?,
                }
                self.push(")");
                Ok(())
            }
            Expr::Between {
                operand,
                low,
                high,
                negated,
                symmetric,
            } => {
                self.operand(operand)?;
                self.push(if *negated {
                    " not between "
                } else {
                    " between "
                });
                if *symmetric {
                    self.push("symmetric ");
                }
                self.operand(low)?;
                self.push(" and ");
                self.operand(high)
            }
            // What is left needs no level of its own.
            other => self.expr(other),
        }
    }

    fn binary(
        &mut self,
        left: &mut Expr<V>,
        operator: Operator,
        right: &mut Expr<V>,
    ) -> Result<(), Error> {
        match (left, right) {
            // Of two parameters the server would know neither's type.
            (Expr::Value(left), right @ (Expr::Value(_) | Expr::Constant(_))) => {
                self.typed_value(left);
                self.operator(operator);
                self.selected(right)
            }
            (left, right) => {
                self.operand(left)?;
                self.operator(operator);
                self.operand(right)
            }
        }
    }

    fn operator(&mut self, operator: Operator) {
        self.push(" ");
        self.push(operator.as_str());
        self.push(" ");
    }

    /// An expression beside an operator: in parentheses, unless it is one piece by itself.
    fn operand(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        let whole = matches!(
            expr,
            Expr::Column(_)
                | Expr::Value(_)
                | Expr::TypedValue(_)
                | Expr::Constant(_)
                | Expr::Raw(_)
                | Expr::Select(_)
                | Expr::Array(_)
                | Expr::Row(_)
                | Expr::Cast(..)
        ) || matches!(&expr, Expr::Call(call) if call.over.is_none());
        if whole {
            return self.expr(expr);
        }
        self.push("(");
        self.expr(expr)?;
        self.push(")");
        Ok(())
    }

    /// The conditions of WHERE, HAVING, ON; nothing when there are none.
    pub(super) fn filter(&mut self, keyword: &str, filter: &mut Filter<V>) -> Result<(), Error> {
        if filter.is_empty() {
            return Ok(());
        }
        self.push(keyword);
        self.conditions(filter.connective, &mut filter.list)
    }

    /// A group of conditions beside which nothing stands, or within parentheses.
    fn conditions(&mut self, connective: Connective, list: &mut [Expr<V>]) -> Result<(), Error> {
        for (number, condition) in list.iter_mut().enumerate() {
            if number > 0 {
                self.push(match connective {
                    Connective::And => " and ",
                    Connective::Or => " or ",
                });
            }
            match condition {
                Expr::Group(inner, list) if list.len() > 1 => {
                    self.push("(");
                    self.deeper(|this| this.conditions(*inner, list))?;
                    self.push(")");
                }
                condition => self.expr(condition)?,
            }
        }
        Ok(())
    }

    fn group(&mut self, connective: Connective, list: &mut [Expr<V>]) -> Result<(), Error> {
        if list.is_empty() {
            self.push(match connective {
                Connective::And => "true",
                Connective::Or => "false",
            });
            return Ok(());
        }
        self.conditions(connective, list)
    }

    fn case(&mut self, case: &mut Case<V>) -> Result<(), Error> {
        if case.branches.is_empty() {
            return Err(Error::new(
                "a CASE has no branch",
                "give it at least one condition",
            ));
        }
        self.push("case");
        for Branch { when, then } in &mut case.branches {
            if when.is_empty() {
                return Err(Error::new(
                    "a branch of CASE has no condition",
                    "give it one; what holds otherwise stands in `otherwise`",
                ));
            }
            self.filter(" when ", when)?;
            self.push(" then ");
            self.result(then)?;
        }
        if let Some(otherwise) = &mut case.otherwise {
            self.push(" else ");
            self.result(otherwise)?;
        }
        self.push(" end");
        Ok(())
    }

    /// What a CASE gives.
    fn result(&mut self, expr: &mut Expr<V>) -> Result<(), Error> {
        match expr {
            Expr::Value(value) => {
                self.typed_value(value);
                Ok(())
            }
            expr => self.operand(expr),
        }
    }

    pub(super) fn call(&mut self, call: &mut Call<V>) -> Result<(), Error> {
        call.function.write(&mut self.out.text);
        self.push("(");
        if call.distinct {
            self.push("distinct ");
        }
        self.list(&mut call.arguments, Self::bare)?;
        if call.within_group {
            if call.order.is_empty() {
                return Err(Error::new(
                    "WITHIN GROUP has no order",
                    "say of what the aggregate is taken, as in `within_group(\"total\", Asc)`",
                ));
            }
            self.push(") within group (order by ");
            self.list(&mut call.order, Self::step)?;
        } else {
            self.order(&mut call.order)?;
        }
        self.push(")");
        if !call.filter.is_empty() {
            self.filter(" filter (where ", &mut call.filter)?;
            self.push(")");
        }
        match &mut call.over {
            None => Ok(()),
            Some(Over::Named(name)) => {
                self.push(" over ");
                self.name(name);
                Ok(())
            }
            Some(Over::Window(window)) => {
                self.push(" over ");
                self.window(window)
            }
        }
    }

    pub(super) fn window(&mut self, window: &mut Window<V>) -> Result<(), Error> {
        self.push("(");
        let start = self.out.text.len();
        if !window.partition.is_empty() {
            self.push("partition by ");
            self.list(&mut window.partition, Self::bare)?;
        }
        if !window.order.is_empty() {
            self.gap(start);
            self.push("order by ");
            self.list(&mut window.order, Self::step)?;
        }
        if let Some(frame) = window.frame {
            self.gap(start);
            self.frame(frame);
        }
        self.push(")");
        Ok(())
    }

    /// A blank, unless nothing was written since `start`.
    fn gap(&mut self, start: usize) {
        if self.out.text.len() > start {
            self.push(" ");
        }
    }

    fn frame(&mut self, frame: Frame) {
        self.push(match frame.unit {
            FrameUnit::Rows => "rows between ",
            FrameUnit::Range => "range between ",
            FrameUnit::Groups => "groups between ",
        });
        self.edge(frame.start);
        self.push(" and ");
        self.edge(frame.end);
    }

    fn edge(&mut self, edge: FrameEdge) {
        match edge {
            FrameEdge::UnboundedPreceding => self.push("unbounded preceding"),
            FrameEdge::Preceding(count) => {
                self.number(count as usize);
                self.push(" preceding");
            }
            FrameEdge::CurrentRow => self.push("current row"),
            FrameEdge::Following(count) => {
                self.number(count as usize);
                self.push(" following");
            }
            FrameEdge::UnboundedFollowing => self.push("unbounded following"),
        }
    }

    /// Text written by hand: `{}` becomes the next parameter, `{{` and `}}` one brace.
    pub(super) fn fragment(&mut self, fragment: &mut Fragment<V>) -> Result<(), Error> {
        self.out.has_raw = true;
        let mut values = fragment.values.iter_mut();
        let mut rest: &str = &fragment.template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
            self.push(before);
            if from.starts_with("{}") {
                let Some(value) = values.next() else {
                    return Err(fragment_values("fewer"));
                };
                self.value(value);
            } else if from.starts_with("{{") || from.starts_with("}}") {
                self.push(from.get(..1).unwrap_or_default());
            } else {
                return Err(Error::new(
                    "raw text has a lone brace",
                    "write `{}` for a value, and `{{` or `}}` for a brace",
                ));
            }
            rest = from.get(2..).unwrap_or_default();
        }
        if values.next().is_some() {
            return Err(fragment_values("more"));
        }
        self.push(rest);
        if fragment.template.contains("--") {
            // It may end in a comment, which must not swallow what follows.
            self.push("\n");
        }
        Ok(())
    }
}

#[cold]
fn fragment_values(how_many: &str) -> Error {
    Error::new(
        format!("raw text has {how_many} values than `{{}}`"),
        "give one value for each",
    )
}
