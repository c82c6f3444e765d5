//! What clients ask in the recordings, and ask again of the server that lies.

use std::sync::Arc;

use aquifer_wire::types::{ParamList, Params};
use aquifer_wire::{Client, Error, Kind, Reply, Sharing};

use crate::decoding;

/// One way to use a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// Several statements in one round trip.
    Batch,
    /// What fails, and what is prepared anew.
    Errors,
    /// Callers who share one Sync, and others between them.
    Group,
    /// Statements one after the other.
    Queries,
    /// The simple protocol, transactions, notices and notifications.
    Scripts,
    /// Types that are looked up.
    Types,
    /// Values of many types.
    Values,
}

/// What the recording's database holds.
const SCHEMA: &str = "
    create table t (a int, b text);
    insert into t values (1, 'one'), (2, null);
    create type mood as enum ('sad', 'happy');
    create type place as (street text, mood mood, numbers int[]);
    create domain home as place;
    create type times as range (subtype = timestamptz)";

impl Conversation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Batch,
        Self::Errors,
        Self::Group,
        Self::Queries,
        Self::Scripts,
        Self::Types,
        Self::Values,
    ];

    /// What the database holds that it was recorded with.
    #[must_use]
    pub fn schema() -> &'static str {
        SCHEMA
    }

    /// The name of its recording.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How many good answers are recorded: a replay that has fewer no longer fits its recording.
    #[must_use]
    pub fn good(self) -> usize {
        match self {
            Self::Batch => 3,
            Self::Errors => 10,
            Self::Group => 32,
            Self::Queries => 11,
            Self::Scripts => 13,
            Self::Types => 5,
            Self::Values => 9,
        }
    }

    /// Asks everything and looks at each answer; how many were good.
    ///
    /// # Panics
    /// When an error is not one of those that are promised.
    ///
    /// # Cancel safety
    /// The requests that were sent are answered to nobody.
    pub async fn hold(self, client: &Arc<Client>) -> usize {
        match self {
            Self::Batch => batch(client).await,
            Self::Errors => errors(client).await,
            Self::Group => group(client).await,
            Self::Queries => queries(client).await,
            Self::Scripts => scripts(client).await,
            Self::Types => types(client).await,
            Self::Values => values(client).await,
        }
    }
}

type Arguments<'a> = &'a (dyn Params + Sync);

/// Holds an error against what is promised; 1 if there was none.
fn judge(outcome: Result<(), Error>) -> usize {
    let Err(error) = outcome else {
        return 1;
    };
    let told = format!("{error} {error:?}");
    assert!(!told.is_empty());
    match error.kind() {
        Kind::Database => assert!(error.sqlstate().is_some(), "{error:?}"),
        Kind::Closed | Kind::Decode | Kind::Protocol => {}
        // What a description that lies makes of good parameters.
        Kind::Encode | Kind::Overtaken => assert!(!error.sent(), "{error:?}"),
        Kind::Limit => assert!(told.contains("COPY"), "{error:?}"),
        _ => panic!("not promised: {error:?}"),
    }
    0
}

fn judge_reply(reply: Result<Reply, Error>) -> usize {
    judge(reply.map(|reply| decoding::read(&reply)))
}

async fn query(client: &Client, sql: &str, params: Arguments<'_>, sharing: Sharing) -> usize {
    judge_reply(client.query(sql, params, sharing).await)
}

async fn queries(client: &Client) -> usize {
    let mut good = 0;
    for sharing in [Sharing::Own, Sharing::Shared] {
        good += query(
            client,
            "select $1::int + 1 as n, 'x'::text, null::bool",
            &(1,),
            sharing,
        )
        .await;
        good += query(client, "select a, b from t order by a", &(), sharing).await;
        good += query(
            client,
            "select generate_series(1, $1::int)",
            &(50,),
            sharing,
        )
        .await;
        good += query(client, "insert into t values ($1, $2)", &(3, "x"), sharing).await;
        good += query(client, "", &(), sharing).await;
    }
    let statement = client
        .statement("select repeat('x', $1)", Sharing::Own)
        .await;
    match statement {
        Ok(statement) => {
            let reply = client.run(&statement, &(9_000,), Sharing::Own).await;
            good + judge_reply(reply)
        }
        Err(error) => good + judge(Err(error)),
    }
}

async fn batch(client: &Client) -> usize {
    let batch: [(&str, Arguments<'_>); 4] = [
        ("insert into t values ($1, $2) returning *", &(7, "seven")),
        ("select count(*) from t", &()),
        ("delete from t where a = $1", &(7,)),
        ("select b from t", &()),
    ];
    let mut good = 0;
    for _ in 0..3 {
        match client.batch(&batch, Sharing::Own).await {
            Ok(replies) => {
                assert_eq!(replies.len(), batch.len());
                replies.iter().for_each(decoding::read);
                good += 1;
            }
            Err(error) => good += judge(Err(error)),
        }
    }
    good
}

async fn scripts(client: &Client) -> usize {
    let mut events = client.events(2);
    let mut good = 0;
    let notices =
        "listen news; do $$ begin for i in 1..5 loop raise notice '%', i; end loop; end $$";
    for script in [
        notices,
        "select 1; select a from t; notify news, 'payload'",
        "set application_name = 'fuzzed'",
        "",
        "copy (select 1) to stdout",
    ] {
        good += judge(client.script(script).await.map(drop));
    }
    for control in ["begin", "savepoint s", "rollback to s", "commit"] {
        good += judge(client.control(control).await.map(drop));
        let turn = client.turn();
        good += query(client, "select 1", &(), Sharing::Within(turn)).await;
        let _status = (client.status(), client.parameter("application_name"));
    }
    good += judge(client.barrier().await);
    client.close();
    while let Some(event) = events.recv().await {
        drop(format!("{event:?}"));
    }
    good
}

async fn errors(client: &Client) -> usize {
    let mut good = 0;
    for sql in [
        "select 1 / 0",
        "select nothing",
        "select * from missing",
        "elect 1",
    ] {
        good += query(client, sql, &(), Sharing::Own).await;
        good += query(client, sql, &(), Sharing::Shared).await;
    }
    let changes = [
        "alter table t add c int",
        "alter table t drop c",
        "deallocate all",
        "alter table t alter a type bigint",
    ];
    for change in changes {
        good += query(client, "select * from t where a > $1", &(0,), Sharing::Own).await;
        good += judge(client.script(change).await.map(drop));
    }
    good += query(client, "select * from t where a > $1", &(0,), Sharing::Own).await;
    client.keep_apart();
    good += query(client, "select * from t where a > $1", &(0,), Sharing::Own).await;
    client.rejoin();
    let batch: [(&str, Arguments<'_>); 2] = [("select 1", &()), ("select 1 / 0", &())];
    good + judge(client.batch(&batch, Sharing::Own).await.map(drop))
}

async fn group(client: &Arc<Client>) -> usize {
    let read = |number: i32| async move {
        query(client, "select $1::int", &(number,), Sharing::Shared).await
    };
    let fail = || query(client, "select 1 / 0", &(), Sharing::Shared);
    let own = || {
        query(
            client,
            "update t set b = 'x' where a = 1",
            &(),
            Sharing::Own,
        )
    };
    let mut good = read(0).await + own().await;
    for _ in 0..3 {
        let (a, b, c, d, e, f) = tokio::join!(read(1), read(2), fail(), read(3), own(), read(4));
        good += a + b + c + d + e + f;
        let (a, b, c, d) = tokio::join!(fail(), read(5), batch(client), read(6));
        good += a + b + c + d;
    }
    good
}

async fn types(client: &Client) -> usize {
    let mut good = 0;
    for sql in [
        "select null::mood, array['sad']::mood[]",
        "select row('A', 'sad', '{1,2}')::place, null::home",
        "select '[2020-01-01, 2020-02-01)'::times, '{[1,2]}'::int4multirange",
        "select array[row('A', 'sad', '{1}')::place]::home[]",
    ] {
        good += query(client, sql, &(), Sharing::Own).await;
    }
    let mut params = ParamList::new();
    params.push("happy");
    params.push(vec!["sad", "happy"]);
    good + query(client, "select $1::mood, $2::mood[]", &params, Sharing::Own).await
}

async fn values(client: &Client) -> usize {
    let mut good = 0;
    for sql in [
        "select true, 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 123.456::numeric, 'NaN'::numeric",
        "select 'text', 'c'::\"char\", 'name'::name, 'bpchar'::char(10), '\\xdeadbeef'::bytea, \
         gen_random_uuid()",
        "select '2024-02-29'::date, '12:34:56'::time, '12:34:56+02'::timetz, \
         'infinity'::timestamptz, '2024-02-29 12:00'::timestamp, '1 mon 2 days 3 s'::interval",
        "select '{\"a\": [1, null]}'::json, '{\"a\": 1}'::jsonb, '[1,2]'::jsonb, '<a/>'::xml",
        "select '10.0.0.1/8'::inet, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr, '0/16B3748'::pg_lsn",
        "select '{{1,2},{3,4}}'::int[], '{}'::text[], '{a,null}'::text[], '[2:3]={5,6}'::int8[]",
        "select '[1,5)'::int4range, 'empty'::numrange, '{[1,2),[5,6)}'::int4multirange",
        "select '(1,2)'::point, '((0,0),(1,1),(1,0))'::polygon, '(1,1),(0,0)'::box, '<(0,0),1>'::circle, \
         '[(0,0),(1,1)]'::path, '{1,2,3}'::line, B'10101'::varbit, '12.34'::money",
        "select row(1, 'a', null), 'a b'::tsvector, 1::oid, 'pg_type'::regclass, '5'::xid",
    ] {
        good += query(client, sql, &(), Sharing::Own).await;
    }
    good
}
