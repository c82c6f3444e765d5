//! The connection is cut at every message of a conversation in turn: whoever waits gets its whole
//! answer, or an error that tells the truth about what was sent and why the connection ended.

use std::sync::Arc;

use aquifer_testkit::{Cut, Direction, Ending, Proxy};
use aquifer_wire::types::Params;
use aquifer_wire::{Client, Error, Kind, Sharing};

use crate::database::{Database, row, server};

/// The messages of these conversations, and more.
const PLACES_MAX: u64 = 200;

const CONVERSATIONS: [Conversation; 5] = [
    Conversation::Query,
    Conversation::Known,
    Conversation::Batch,
    Conversation::Script,
    Conversation::Group,
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Conversation {
    /// A statement that is new: described, its types looked up, prepared, run.
    Query,
    /// A statement that was prepared before.
    Known,
    Batch,
    Script,
    /// Callers of all kinds at once.
    Group,
}

/// What one caller wanted to be done once, and what it was told.
struct Told {
    inserts: Vec<i32>,
    outcome: Result<Vec<i32>, Error>,
}

const INSERT: &str = "insert into t values ($1) returning a";

async fn insert(client: &Client, number: i32, sql: &str) -> Told {
    let reply = client.query(sql, &(number,), Sharing::Own).await;
    Told {
        inserts: vec![number],
        outcome: reply.and_then(|reply| reply.decode_column()),
    }
}

async fn read(client: &Client, number: i32) -> Told {
    let reply = client
        .query("select $1::int4", &(number,), Sharing::Shared)
        .await;
    let outcome: Result<Vec<i32>, Error> = reply.and_then(|reply| reply.decode_column());
    if let Ok(numbers) = &outcome {
        assert_eq!(*numbers, [number], "a foreign answer");
    }
    Told {
        inserts: Vec::new(),
        outcome: outcome.map(|_| Vec::new()),
    }
}

async fn batch(client: &Client) -> Told {
    let batch: [(&str, &(dyn Params + Sync)); 3] = [
        (INSERT, &(10,)),
        ("select generate_series(1, 3)", &()),
        (INSERT, &(11,)),
    ];
    let replies = client.batch(&batch, Sharing::Own).await;
    let outcome = replies.and_then(|replies| {
        assert_eq!(replies[1].decode_column::<i32>()?, [1, 2, 3]);
        Ok([
            replies[0].decode_column::<i32>()?,
            replies[2].decode_column()?,
        ]
        .concat())
    });
    Told {
        inserts: vec![10, 11],
        outcome,
    }
}

async fn script(client: &Client) -> Told {
    let script = "insert into t values (20); select 1; insert into t values (21)";
    let tags = client.script(script).await;
    if let Ok(tags) = &tags {
        assert_eq!(*tags, ["INSERT 0 1", "SELECT 1", "INSERT 0 1"]);
    }
    Told {
        inserts: vec![20, 21],
        outcome: tags.map(|_| vec![20, 21]),
    }
}

impl Conversation {
    async fn hold(self, client: &Client) -> Vec<Told> {
        match self {
            Self::Query => {
                let sql = "insert into t values ($1) returning a, 'sad'::mood as new";
                vec![insert(client, 1, sql).await]
            }
            Self::Known => vec![insert(client, 1, INSERT).await],
            Self::Batch => vec![batch(client).await],
            Self::Script => vec![script(client).await],
            Self::Group => {
                let (a, b, c, d, e, f, g) = tokio::join!(
                    insert(client, 1, INSERT),
                    read(client, 2),
                    read(client, 3),
                    batch(client),
                    read(client, 4),
                    script(client),
                    insert(client, 5, INSERT),
                );
                vec![a, b, c, d, e, f, g]
            }
        }
    }
}

/// A table, a proxy in front of it, and somebody who looks from beside.
struct Stage {
    database: Database,
    proxy: Proxy,
    witness: Client,
}

impl Stage {
    async fn new() -> Self {
        let database = Database::new();
        let witness = database.connect().await;
        let script = "create table t (a int); create type mood as enum ('sad')";
        witness.script(script).await.unwrap();
        Self {
            proxy: Proxy::to_postgres(server()),
            witness,
            database,
        }
    }

    /// A session through the proxy that has prepared what is known.
    async fn connect(&mut self) -> Client {
        let name = row(&self.witness, "select current_database()::text", &()).await;
        let name: String = name.get(0).unwrap();
        let url = self.proxy.through(server().tcp_url());
        let port = self.proxy.port();
        let url = url.replace(&format!(":{port}/postgres"), &format!(":{port}/{name}"));
        // What is new must be new each time.
        self.database.catalog = Arc::new(aquifer_wire::Catalog::new(16));
        let client = self.database.connect_to(&url).await;
        client.query(INSERT, &(0,), Sharing::Own).await.unwrap();
        client
            .query("select $1::int4", &(0,), Sharing::Own)
            .await
            .unwrap();
        self.witness.script("truncate t").await.unwrap();
        client
    }

    /// How often each number is in the table, once the session that was cut has ended.
    async fn rows(&self, gone: i32) -> Vec<i32> {
        let others = "select count(*) from pg_stat_activity where pid = $1";
        while row(&self.witness, others, &(gone,))
            .await
            .get::<i64>(0)
            .unwrap()
            > 0
        {
            tokio::task::yield_now().await;
        }
        let rows = self
            .witness
            .query("select a from t order by a", &(), Sharing::Own);
        rows.await.unwrap().decode_column().unwrap()
    }

    /// Cuts the conversation at one place; whether the place was reached.
    async fn cut(&mut self, conversation: Conversation, cut: Cut) -> bool {
        let client = self.connect().await;
        let process_id = client.process_id();
        self.proxy.cut(cut);
        // Boxed: seven callers at once are a large future.
        let told = Box::pin(conversation.hold(&client)).await;
        self.proxy.clear_cuts();
        let reached = told.iter().any(|told| told.outcome.is_err());
        if reached {
            let late = client
                .query("select 1", &(), Sharing::Own)
                .await
                .unwrap_err();
            assert_eq!((late.kind(), late.sent()), (Kind::Closed, false));
            assert!(client.ended().is_some_and(|ended| !ended.by_us()));
        }
        assert_eq!(client.in_flight(), 0);
        drop(client);
        let rows = self.rows(process_id).await;
        for Told { inserts, outcome } in told {
            let done = inserts.iter().all(|number| rows.contains(number));
            let part = inserts.iter().any(|number| rows.contains(number));
            assert!(done || !part, "a part took effect: {inserts:?} of {rows:?}");
            match outcome {
                Ok(numbers) => assert!(done && numbers == inserts, "{numbers:?}, not {inserts:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Closed, "{error}");
                    assert!(
                        error.sent() || inserts.is_empty() || !part,
                        "was sent: {error}"
                    );
                    assert!(error.database().is_none(), "{error}");
                }
            }
        }
        let mut once = rows.clone();
        once.dedup();
        assert_eq!(once, rows, "something was done twice");
        reached
    }

    /// Cuts at each place there is; how many there were.
    async fn cut_everywhere(&mut self, conversation: Conversation, cut: impl Fn() -> Cut) -> u64 {
        for place in 1..PLACES_MAX {
            if !self.cut(conversation, cut().nth(place)).await {
                return place - 1;
            }
        }
        panic!("{conversation:?} never ends");
    }
}

#[tokio::test]
async fn after_every_message_of_the_server() {
    let mut stage = Stage::new().await;
    for conversation in CONVERSATIONS {
        for ending in [Ending::Close, Ending::Reset] {
            let cut = || Cut::after_any(Direction::ToClient).with(ending);
            let places = stage.cut_everywhere(conversation, cut).await;
            assert!(places >= 3, "{conversation:?} has only {places} places");
        }
    }
}

#[tokio::test]
async fn before_every_message_of_the_server() {
    let mut stage = Stage::new().await;
    for conversation in CONVERSATIONS {
        let cut = || {
            let ending = Ending::HalfClose(Direction::ToClient);
            Cut::before_any(Direction::ToClient).with(ending)
        };
        let places = stage.cut_everywhere(conversation, cut).await;
        assert!(places >= 3, "{conversation:?} has only {places} places");
    }
}

#[tokio::test]
async fn before_every_message_of_the_client() {
    let mut stage = Stage::new().await;
    for conversation in CONVERSATIONS {
        for ending in [Ending::Close, Ending::Reset] {
            let cut = || Cut::before_any(Direction::ToServer).with(ending);
            let places = stage.cut_everywhere(conversation, cut).await;
            assert!(places >= 1, "{conversation:?} has only {places} places");
        }
    }
}

/// Each kind of message, so that none of them is missed by the count.
#[tokio::test]
async fn at_each_kind_of_message() {
    let mut stage = Stage::new().await;
    let kinds = [
        (Conversation::Query, b"1tT2DCZ".as_slice()),
        (Conversation::Known, b"2DCZ"),
        (Conversation::Batch, b"1tT2DCZ"),
        (Conversation::Script, b"CTDZ"),
    ];
    for (conversation, tags) in kinds {
        for tag in tags {
            for cut in [
                Cut::before(Direction::ToClient, *tag),
                Cut::after(Direction::ToClient, *tag),
            ] {
                // Whoever sees the ReadyForQuery has its answer.
                let answered = *tag == b'Z' && format!("{cut:?}").contains("after: true");
                let reached = stage.cut(conversation, cut).await;
                let one_request =
                    matches!(conversation, Conversation::Known | Conversation::Script);
                assert_eq!(
                    !reached,
                    answered && one_request,
                    "{conversation:?} at {}",
                    char::from(*tag)
                );
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_the_session_tells_all_who_wait_why() {
    let stage = Stage::new().await;
    let client = stage.database.connect().await;
    let lock = "select pg_advisory_lock(1)::text";
    row(&stage.witness, lock, &()).await;
    row(&client, "select $1::int4", &(0,)).await;
    row(&client, INSERT, &(0,)).await;
    client.statement(lock, Sharing::Own).await.unwrap();
    let terminate = async {
        let waits = "select exists (select from pg_locks where pid = $1 and not granted)";
        while !row(&stage.witness, waits, &(client.process_id(),))
            .await
            .get::<bool>(0)
            .unwrap()
        {
            tokio::task::yield_now().await;
        }
        let terminate = "select pg_terminate_backend($1)";
        row(&stage.witness, terminate, &(client.process_id(),)).await;
    };
    let (first, held, written, script, ()) = tokio::join!(
        client.query(lock, &(), Sharing::Own),
        read(&client, 1),
        insert(&client, 2, INSERT),
        client.script("select 1"),
        terminate,
    );
    let errors = [
        first.unwrap_err(),
        held.outcome.unwrap_err(),
        written.outcome.unwrap_err(),
        script.unwrap_err(),
        client.barrier().await.unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), Kind::Closed, "{error}");
        assert_eq!(error.sqlstate().unwrap().code(), "57P01", "{error}");
        assert!(error.to_string().contains("administrator"), "{error}");
    }
    assert!(errors[0].sent() && errors[2].sent() && !errors[4].sent());
}
