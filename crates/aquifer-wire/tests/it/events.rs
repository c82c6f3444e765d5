//! What the server says without being asked.

use aquifer_wire::{Client, Event, Events, Sharing};

use crate::abort::abort_at;
use crate::database::{Database, row, session};

/// Has the server raise notices with the numbers of a range.
async fn raise(client: &Client, first: i32, last: i32) {
    let script =
        format!("do $$ begin for i in {first}..{last} loop raise notice '%', i; end loop; end $$");
    client.script(&script).await.unwrap();
}

/// What an event says: a notice's or a notification's text, or how many were missed.
fn told(event: &Event) -> Result<String, u64> {
    match event {
        Event::Notice(notice) => Ok(notice.message().to_owned()),
        Event::Notification(notification) => Ok(notification.payload().to_owned()),
        Event::Missed(count) => Err(*count),
        other => panic!("{other:?}"),
    }
}

async fn next(events: &mut Events) -> Result<String, u64> {
    told(&events.recv().await.unwrap())
}

#[tokio::test]
async fn notices_and_notifications_come_in_the_order_of_the_server() {
    let database = Database::new();
    let client = database.connect().await;
    let mut events = client.events(1_000);
    client
        .script("listen news; listen \"other news\"")
        .await
        .unwrap();
    let mut wanted = Vec::new();
    for number in 0..50 {
        raise(&client, number, number).await;
        let notify = format!("select pg_notify('other news', 'n{number}')");
        row(&client, &notify, &()).await;
        wanted.extend([number.to_string(), format!("n{number}")]);
    }
    // Those of another session come when they come; their own order stays.
    let other = database.connect().await;
    for number in 0..50 {
        other
            .script(&format!("notify news, '{number}'"))
            .await
            .unwrap();
        wanted.push(number.to_string());
    }
    let mut got = Vec::new();
    while got.len() < wanted.len() {
        got.push(next(&mut events).await.unwrap());
    }
    assert_eq!(got, wanted);
    drop(client);
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_receiver_that_does_not_keep_up_holds_nobody_up_and_is_told_what_it_missed() {
    let client = session().await;
    let mut events = client.events(4);
    raise(&client, 1, 10_000).await;
    let own = row(&client, "select 'own'", &()).await;
    assert_eq!(own.get::<String>(0).unwrap(), "own");
    for number in 1..=4 {
        assert_eq!(next(&mut events).await.unwrap(), number.to_string());
    }
    assert_eq!(next(&mut events).await, Err(9_996));
    // From then on nothing is missed any more.
    raise(&client, 1, 4).await;
    for number in 1..=4 {
        assert_eq!(next(&mut events).await.unwrap(), number.to_string());
    }
    raise(&client, 1, 7).await;
    raise(&client, 8, 9).await;
    for number in 1..=3 {
        assert_eq!(next(&mut events).await.unwrap(), number.to_string());
    }
    raise(&client, 10, 11).await;
    assert_eq!(next(&mut events).await.unwrap(), "4");
    // Numbers 5 to 9 were lost before 10 came in, and nothing behind it.
    assert_eq!(next(&mut events).await, Err(5));
    for number in 10..=11 {
        assert_eq!(next(&mut events).await.unwrap(), number.to_string());
    }
    raise(&client, 12, 17).await;
    drop(client);
    for number in 12..=15 {
        assert_eq!(next(&mut events).await.unwrap(), number.to_string());
    }
    assert_eq!(next(&mut events).await, Err(2));
    assert!(events.recv().await.is_none());
}

#[tokio::test]
async fn a_dropped_wait_for_an_event_loses_none() {
    let client = session().await;
    let mut events = client.events(100);
    for number in 1..100 {
        let early = abort_at(events.recv(), 1).await;
        assert!(early.is_none());
        raise(&client, number, number).await;
        let mut polls = 1;
        let event = loop {
            match abort_at(events.recv(), polls).await {
                Some(event) => break event,
                None => polls += 1,
            }
        };
        assert_eq!(told(&event.unwrap()), Ok(number.to_string()));
    }
}

#[tokio::test]
async fn a_receiver_that_was_replaced_or_dropped_disturbs_nobody() {
    let client = session().await;
    let mut first = client.events(8);
    raise(&client, 1, 2).await;
    let mut second = client.events(8);
    raise(&client, 3, 4).await;
    for number in ["1", "2"] {
        assert_eq!(next(&mut first).await.unwrap(), number);
    }
    assert!(first.recv().await.is_none(), "it was replaced");
    assert_eq!(next(&mut second).await.unwrap(), "3");
    drop(second);
    raise(&client, 5, 100).await;
    let own = row(&client, "select 'own'", &()).await;
    assert_eq!(own.get::<String>(0).unwrap(), "own");
}

#[tokio::test]
async fn the_last_report_of_a_parameter_counts() {
    let client = session().await;
    for number in 0..50 {
        let name = format!("application {number}");
        let set = format!("set application_name = '{name} first'; set application_name = '{name}'");
        client.script(&set).await.unwrap();
        assert_eq!(client.parameter("application_name"), Some(name));
    }
    // Undone with its transaction.
    client.control("begin").await.unwrap();
    client
        .script("set application_name = 'undone'")
        .await
        .unwrap();
    assert_eq!(
        client.parameter("application_name").as_deref(),
        Some("undone")
    );
    client.control("rollback").await.unwrap();
    let now = client.parameter("application_name");
    assert_eq!(now.as_deref(), Some("application 49"));
    let shown = client.query(
        "select current_setting('application_name')",
        &(),
        Sharing::Shared,
    );
    assert_eq!(
        shown.await.unwrap().decode_column::<String>().unwrap(),
        ["application 49"]
    );
}

/// The text of each event is its number: what comes behind a gap says how large the gap was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_is_told_where_it_is_missing() {
    const LAST: u64 = 100_000;
    let client = session().await;
    let mut events = client.events(2);
    let server = tokio::spawn(async move {
        raise(&client, 1, i32::try_from(LAST).unwrap()).await;
        drop(client);
    });
    let (mut expected, mut gaps) = (1, 0);
    while let Some(event) = events.recv().await {
        match told(&event) {
            Ok(number) => {
                assert_eq!(number.parse(), Ok(expected), "after {gaps} gaps");
                expected += 1;
            }
            Err(count) => {
                expected += count;
                gaps += 1;
            }
        }
    }
    server.await.unwrap();
    assert_eq!(expected, LAST + 1);
    assert!(gaps > 0, "nothing was missed");
}
