use aquifer::entity::*;
use aquifer::insert;

use super::{Does, Verb, cut, dropped, same};

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "fixed")]
struct Fixed {
    #[entity(key)]
    id: i64,
    a: i64,
}

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "counted")]
struct Counted {
    #[entity(key, auto)]
    id: i64,
    a: i64,
}

fn fixed() -> Query<Fixed, Fixed> {
    Fixed::query().order_by(Fixed::ID.asc())
}

fn all() -> Vec<Fixed> {
    [(1, 10), (2, 20), (3, 30)]
        .map(|(id, a)| Fixed { id, a })
        .into()
}

fn raised() -> Update<Counted, Chosen> {
    Counted::update()
        .set(Counted::A, Counted::A + 1)
        .filter(Counted::ID.eq(1))
}

const READS: [Verb; 4] = [
    Verb {
        name: "fetch",
        does: Does::Read,
        run: |db| Box::pin(async { same(fixed().fetch(db).await?, all()) }),
    },
    Verb {
        name: "first, one and optional",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let of = |id: i64| Fixed::query().filter(Fixed::ID.eq(id));
                same(fixed().first(db).await?, Some(Fixed { id: 1, a: 10 }))?;
                same(of(2).one(db).await?, Fixed { id: 2, a: 20 })?;
                same(of(9).optional(db).await?, None)
            })
        },
    },
    Verb {
        name: "pluck, value, count and exists",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                same(fixed().pluck(Fixed::A, db).await?, vec![10, 20, 30])?;
                same(fixed().value(Fixed::A, db).await?, Some(10))?;
                same(Fixed::query().count(db).await?, 3)?;
                same(Fixed::query().exists(db).await?, true)
            })
        },
    },
    Verb {
        name: "paginate",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let page = fixed().paginate(2, 2, db).await?;
                same((page.rows, page.total), (vec![Fixed { id: 3, a: 30 }], 3))
            })
        },
    },
];

const OTHERS: [Verb; 8] = [
    Verb {
        name: "stream",
        does: Does::Hold,
        run: |db| {
            Box::pin(async {
                let mut rows = fixed().stream(db).await?.fetch_rows(1);
                let mut rest = Vec::new();
                while let Some(row) = rows.next().await? {
                    rest.push(row);
                }
                same(rest, all())
            })
        },
    },
    Verb {
        name: "explain_analyze of an update",
        does: Does::Hold,
        run: |db| {
            Box::pin(async {
                let explained = raised().explain_analyze(db).await?;
                same(explained.root().table(), Some("counted"))
            })
        },
    },
    Verb {
        name: "insert, which returns the row",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let row = insert!(Counted { a: 1_i64 }).fetch(db).await?;
                same(row.a, 1)
            })
        },
    },
    Verb {
        name: "insert without the row",
        does: Does::Write,
        run: |db| Box::pin(async { same(insert!(Counted { a: 1_i64 }).execute(db).await?, 1) }),
    },
    Verb {
        name: "insert_many",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let rows = [1_000_i64, -999].map(|a| insert!(Counted { a }));
                let rows = Counted::insert_many(rows).fetch(db).await?;
                same(rows.iter().map(|row| row.a).collect(), vec![1_000, -999])
            })
        },
    },
    Verb {
        name: "update",
        does: Does::Write,
        run: |db| Box::pin(async { same(raised().execute(db).await?, 1) }),
    },
    Verb {
        name: "update, which returns rows",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let rows = raised().fetch(db).await?;
                same(rows.iter().map(|row| row.id).collect(), vec![1])
            })
        },
    },
    Verb {
        name: "delete, and an insert",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let removed = Counted::delete().filter(Counted::A.eq(-1));
                same(removed.fetch(db).await?, Vec::new())?;
                same(insert!(Counted { a: 1_i64 }).execute(db).await?, 1)
            })
        },
    },
];

#[tokio::test]
async fn reads_are_dropped_at_every_poll() {
    dropped(&READS).await;
}

#[tokio::test]
async fn writes_and_streams_are_dropped_at_every_poll() {
    dropped(&OTHERS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_cut_at_every_message_and_nobody_sees_it() {
    cut(&READS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_streams_are_cut_at_every_message() {
    cut(&OTHERS).await;
}
