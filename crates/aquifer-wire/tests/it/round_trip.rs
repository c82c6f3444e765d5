//! What is sent to a real server comes back the same, as a parameter, through a table and in an
//! array; and the server prints what we print.

mod arrays;
mod composites;
mod enums;
mod everything;
mod extensions;
mod json;
mod network;
mod numbers;
mod ranges;
#[expect(
    dead_code,
    reason = "shared with the unit tests, which use all of them"
)]
#[path = "../../src/types/tests/strategies.rs"]
mod strategies;
mod text;
mod time;

use std::fmt::{Debug, Display};

use aquifer_wire::Client;
use aquifer_wire::types::{Array, DecodeOwned, Encode, Params};
use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::TestRunner;

use crate::database::{row, run};

/// How many made-up values of each type make the trip.
const SAMPLES: usize = 200;

/// The same values each time, so that a failure comes back.
pub(crate) fn samples<T: Debug>(strategy: impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let sample = |_| strategy.new_tree(&mut runner).unwrap().current();
    (0..SAMPLES).map(sample).collect()
}

/// Values of a PostgreSQL type on their way there and back.
pub(crate) struct Trip<'a, T> {
    client: &'a Client,
    ty: &'a str,
    same: fn(&T, &T) -> bool,
    array: bool,
}

impl<'a, T> Trip<'a, T>
where
    T: Encode + DecodeOwned + PartialEq + Debug + Sync,
{
    pub(crate) fn of(client: &'a Client, ty: &'a str) -> Self {
        Self {
            client,
            ty,
            same: PartialEq::eq,
            array: true,
        }
    }

    /// Values are compared in another way than by `==`.
    pub(crate) fn compared_by(self, same: fn(&T, &T) -> bool) -> Self {
        Self { same, ..self }
    }

    /// Without arrays of the values, which are arrays themselves.
    pub(crate) fn alone(self) -> Self {
        Self {
            array: false,
            ..self
        }
    }

    /// Sends `values` by every way, and NULL as well.
    pub(crate) async fn run(&self, values: &[T]) {
        self.as_parameters(values).await;
        self.through_a_table(values).await;
        if self.array {
            self.in_an_array(values).await;
        }
    }

    async fn as_parameters(&self, values: &[T]) {
        let sql = format!("select $1::{}", self.ty);
        let params: Vec<_> = values.iter().map(|value| (value,)).collect();
        let statements: Vec<(&str, &(dyn Params + Sync))> = params
            .iter()
            .map(|params| (sql.as_str(), params as &(dyn Params + Sync)))
            .collect();
        for (statements, values) in statements.chunks(64).zip(values.chunks(64)) {
            let replies = self
                .client
                .batch(statements, aquifer_wire::Sharing::Own)
                .await;
            let replies = replies.unwrap_or_else(|error| panic!("{sql}: {error}"));
            for (reply, value) in replies.iter().zip(values) {
                let back: Vec<T> = reply.decode_column().unwrap();
                self.check(value, &back[0], "as a parameter");
            }
        }
        let none = row(self.client, &sql, &(None::<&T>,)).await;
        assert!(none.get::<Option<T>>(0).unwrap().is_none(), "{}", self.ty);
    }

    async fn through_a_table(&self, values: &[T]) {
        let Self { client, ty, .. } = self;
        let create = format!("drop table if exists trip; create temp table trip (at int, v {ty})");
        client.script(&create).await.unwrap();
        let insert = "insert into trip values ($1, $2)";
        for (at, value) in values.iter().enumerate() {
            run(client, insert, &(at, value)).await.unwrap();
        }
        run(client, insert, &(values.len(), None::<&T>))
            .await
            .unwrap();
        let all = run(client, "select v from trip order by at", &())
            .await
            .unwrap();
        let mut back: Vec<Option<T>> = all.decode_column().unwrap();
        assert!(back.pop().unwrap().is_none(), "{ty}");
        assert_eq!(back.len(), values.len());
        for (value, back) in values.iter().zip(&back) {
            self.check(value, back.as_ref().unwrap(), "through a table");
        }
    }

    async fn in_an_array(&self, values: &[T]) {
        let sql = format!("select $1::{0}[], $2::{0}[]", self.ty);
        let with_null: Vec<Option<&T>> = values.iter().map(Some).chain([None]).collect();
        let both = row(self.client, &sql, &(&values, &with_null)).await;
        let back: Vec<T> = both.get(0).unwrap();
        let mut with_null: Vec<Option<T>> = both.get(1).unwrap();
        assert!(with_null.pop().unwrap().is_none(), "{}", self.ty);
        assert_eq!((back.len(), with_null.len()), (values.len(), values.len()));
        for ((value, back), nullable) in values.iter().zip(&back).zip(&with_null) {
            self.check(value, back, "in an array");
            self.check(value, nullable.as_ref().unwrap(), "beside NULL");
        }
        let array: Array<T> = both.get(0).unwrap();
        assert_eq!(array.elements().len(), values.len());
    }

    fn check(&self, value: &T, back: &T, way: &str) {
        let same = (self.same)(value, back);
        assert!(same, "{} {way}: sent {value:?}, got {back:?}", self.ty);
    }
}

/// The server prints what `Display` writes, and reads it as the same value; as do `String`s.
pub(crate) async fn printed<T>(client: &Client, ty: &str, values: &[T])
where
    T: Encode + DecodeOwned + PartialEq + Display + Debug + Sync,
{
    printed_by(client, ty, values, ToString::to_string).await;
}

pub(crate) async fn printed_by<T>(client: &Client, ty: &str, values: &[T], print: fn(&T) -> String)
where
    T: Encode + DecodeOwned + PartialEq + Debug + Sync,
{
    // `format` prints as the type's output function does; a cast to text may differ (inet).
    let sql = format!("select format('%s', $1::{ty}), $2::text::{ty}, $3::{ty}");
    for value in values {
        let text = print(value);
        let row = row(client, &sql, &(value, &text, &text)).await;
        assert_eq!(
            row.get::<String>(0).unwrap(),
            text,
            "the server's text of {value:?}"
        );
        assert_eq!(
            row.get::<T>(1).unwrap(),
            *value,
            "as the server reads {text}"
        );
        assert_eq!(row.get::<T>(2).unwrap(), *value, "as we read {text}");
        assert_eq!(row.get::<String>(1).unwrap(), text, "our text of {value:?}");
    }
}
