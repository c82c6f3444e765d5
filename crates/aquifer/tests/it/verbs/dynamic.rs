use aquifer::query::{self, Change, CursorKey};
use aquifer::{Db, values};

use super::{Does, Verb, cut, dropped, same};

type Pair = (i64, i64);

const ALL: [Pair; 3] = [(1, 10), (2, 20), (3, 30)];

fn fixed(db: &Db) -> aquifer::QueryBuilder<query::Attached<'_>> {
    db.from("fixed").order_by("id", "asc")
}

fn raised(db: &Db) -> Change<'_> {
    db.from("counted").where_("id", "=", 1).increment("a", 1)
}

const READS: [Verb; 8] = [
    Verb {
        name: "get",
        does: Does::Read,
        run: |db| Box::pin(async { same(fixed(db).get_as::<Pair>().await?, ALL.into()) }),
    },
    Verb {
        name: "first",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let first = fixed(db).where_("a", ">", 10).first_as::<Pair>().await?;
                same(first, Some((2, 20)))
            })
        },
    },
    Verb {
        name: "value, count and exists",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                same(fixed(db).value::<i64>("a").await?, Some(10))?;
                same(db.from("fixed").count().await?, 3)?;
                same(db.from("fixed").exists().await?, true)
            })
        },
    },
    Verb {
        name: "pluck",
        does: Does::Read,
        run: |db| Box::pin(async { same(fixed(db).pluck::<i64>("a").await?, vec![10, 20, 30]) }),
    },
    Verb {
        name: "paginate",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let page = fixed(db).paginate_as::<Pair>(2, 2).await?;
                same((page.rows, page.total), (vec![(3, 30)], 3))
            })
        },
    },
    Verb {
        name: "cursor_page",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let key = CursorKey::new(b"0123456789abcdef0123456789abcdef")?;
                let first = fixed(db).cursor_page(&key, None, 2).await?;
                let next = fixed(db)
                    .cursor_page(&key, first.next.as_deref(), 2)
                    .await?;
                same((first.rows.len(), next.rows.len()), (2, 1))
            })
        },
    },
    Verb {
        name: "each",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let mut sum = 0;
                let each = db.from("fixed").each("id", 2, |row| {
                    sum += row.get::<i64>("a")?;
                    Ok(())
                });
                same((each.await?, sum), (3, 60))
            })
        },
    },
    Verb {
        name: "chunk",
        does: Does::Read,
        run: |db| {
            Box::pin(async {
                let chunk = db.from("fixed").chunk("id", 2, async |rows| {
                    db.from("fixed").count().await?;
                    assert!(!rows.is_empty());
                    Ok(())
                });
                same(chunk.await?, 3)
            })
        },
    },
];

const OTHERS: [Verb; 9] = [
    Verb {
        name: "stream",
        does: Does::Hold,
        run: |db| {
            Box::pin(async {
                let mut rows = fixed(db).stream_as::<Pair>().await?.fetch_rows(1);
                let mut all = Vec::new();
                while let Some(row) = rows.next().await? {
                    all.push(row);
                }
                same(all, ALL.into())
            })
        },
    },
    Verb {
        name: "lints",
        does: Does::Hold,
        run: |db| Box::pin(async { same(fixed(db).limit(1).lints().await?, Vec::new()) }),
    },
    Verb {
        name: "explain_analyze of a change",
        does: Does::Hold,
        run: |db| {
            Box::pin(async {
                let explained = raised(db).explain_analyze().await?;
                same(explained.root().table(), Some("counted"))
            })
        },
    },
    Verb {
        name: "insert, which returns the row",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let row = db.from("counted").insert(values! { a: 1 }).await?;
                same(row.get::<i64>("a")?, 1)
            })
        },
    },
    Verb {
        name: "insert without the row",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let insert = db.from("counted").insert(values! { a: 1 });
                same(insert.execute().await?, 1)
            })
        },
    },
    Verb {
        name: "insert_many",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let rows = [values! { a: 1_000 }, values! { a: -999 }];
                let insert = db.from("counted").insert_many(rows);
                same(
                    insert.returning("a").rows_as::<(i64,)>().await?,
                    vec![(1_000,), (-999,)],
                )
            })
        },
    },
    Verb {
        name: "update",
        does: Does::Write,
        run: |db| Box::pin(async { same(raised(db).await?, 1) }),
    },
    Verb {
        name: "update, which returns rows",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let rows = raised(db).returning("id").rows_as::<(i64,)>().await?;
                same(rows, vec![(1,)])
            })
        },
    },
    Verb {
        name: "delete of what was inserted",
        does: Does::Write,
        run: |db| {
            Box::pin(async {
                let insert = db.from("counted").insert(values! { a: 1 });
                let removed = db.from("counted").where_("a", "=", -1).delete();
                same(removed.await?, 0)?;
                same(insert.execute().await?, 1)
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
