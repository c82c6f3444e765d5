use std::borrow::Cow;

use aquifer_wire::Kind;
use aquifer_wire::types::Bit;
use bytes::Bytes;
use proptest::prelude::*;

use super::{Trip, printed, samples, strategies};
use crate::database::{row, run, session};

/// Texts that some layer takes for more than text.
fn awkward() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "  two  ",
        "'",
        "''",
        "\"",
        "\\",
        "\\\\",
        "\\n",
        "$1",
        "$$",
        "%s",
        "{}",
        "{NULL}",
        "NULL",
        "null",
        "(,)",
        "a,b",
        "--",
        "/*",
        ";",
        "E'\\x'",
        "\r\n",
        "\t",
        "\u{feff}",
        "e\u{301}",
        "\u{e9}",
        "\u{202e}rtl",
        "שלום",
        "日本語",
        "🦀",
        "👨‍👩‍👧",
        "\u{10ffff}",
        "\u{fffd}",
        "\u{d7ff}\u{e000}",
        "\u{85}\u{a0}\u{2028}",
    ]
    .map(String::from)
    .to_vec();
    texts.extend((1..0x80_u8).map(|byte| char::from(byte).to_string()));
    texts.push("long ".repeat(200_000));
    texts.extend(samples("[^\\x00]{0,60}"));
    texts
}

#[tokio::test]
async fn text_of_every_kind_of_character() {
    let client = session().await;
    let texts = awkward();
    Trip::of(&client, "text").run(&texts).await;
    Trip::of(&client, "varchar").run(&texts).await;
    printed(&client, "text", &texts).await;
    let boxed: Vec<Box<str>> = texts.iter().map(|text| text.as_str().into()).collect();
    Trip::of(&client, "text").run(&boxed).await;
    let characters: Vec<char> = samples(any::<char>().prop_filter("NUL", |c| *c != '\0'));
    Trip::of(&client, "text").run(&characters).await;
}

#[tokio::test]
async fn text_that_the_server_pads_or_cuts() {
    let client = session().await;
    let sql = "select $1::char(5), $1::varchar(3), $1::name, $1::char(5)::text, $1::\"char\"";
    let padded = row(&client, sql, &("é",)).await;
    let texts = [0, 1, 2, 3].map(|at| padded.get::<String>(at).unwrap());
    assert_eq!(texts, ["é    ", "é", "é", "é"]);
    let long = "é".repeat(40);
    let cut = row(
        &client,
        "select $1::text::name, $1::text::varchar(3)",
        &(&long,),
    )
    .await;
    assert_eq!(cut.get::<String>(0).unwrap(), "é".repeat(31));
    assert_eq!(cut.get::<&str>(1).unwrap(), "ééé");
    // A comparison with a padded column goes by the padded type, as its index does.
    let script = "create temp table padded (v char(5)); insert into padded values ('ab')";
    client.script(script).await.unwrap();
    for value in ["ab", "ab  "] {
        let found = row(
            &client,
            "select count(*) from padded where v = $1",
            &(value,),
        )
        .await;
        assert_eq!(found.get::<i64>(0).unwrap(), 1, "{value:?}");
    }
}

#[tokio::test]
async fn text_with_nul_is_refused_before_it_is_sent() {
    let client = session().await;
    for ty in [
        "text", "varchar", "bpchar", "name", "json", "jsonb", "xml", "text[]",
    ] {
        let sql = format!("select $1::{ty}");
        let error = match ty {
            "text[]" => run(&client, &sql, &(["a\0b"],)).await,
            _ => run(&client, &sql, &("a\0b",)).await,
        };
        let error = error.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Encode, false), "{ty}");
        assert!(error.to_string().contains("$1"), "{error}");
    }
    for sql in ["select 1\0", "\0"] {
        let error = run(&client, sql, &()).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Limit, false));
        let error = client.script(sql).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (Kind::Limit, false));
    }
    assert_eq!(
        row(&client, "select 1", &()).await.get::<i32>(0).unwrap(),
        1
    );
}

#[tokio::test]
async fn bytes_and_bits() {
    let client = session().await;
    let mut values = vec![Vec::new(), vec![0], vec![0; 1_000_000], (0..=255).collect()];
    values.extend(samples(prop::collection::vec(any::<u8>(), 0..200)));
    Trip::of(&client, "bytea").run(&values).await;
    let shared: Vec<Bytes> = values.iter().cloned().map(Bytes::from).collect();
    Trip::of(&client, "bytea").run(&shared).await;
    let borrowed = row(&client, "select $1::bytea", &(b"\0\xff".as_slice(),)).await;
    assert_eq!(borrowed.get::<&[u8]>(0).unwrap(), b"\0\xff");
    assert!(matches!(
        borrowed.get::<Cow<'_, [u8]>>(0).unwrap(),
        Cow::Borrowed(_)
    ));
    let mut bits: Vec<Bit> = ["", "0", "1", "10000000", "111111111"]
        .map(|bits| bits.parse().unwrap())
        .to_vec();
    bits.extend(samples(strategies::bit()));
    Trip::of(&client, "varbit").run(&bits).await;
    printed(&client, "varbit", &bits).await;
    let nine: Vec<Bit> = ["000000000", "111111111", "101010101"]
        .map(|bits| bits.parse().unwrap())
        .to_vec();
    Trip::of(&client, "bit(9)").run(&nine).await;
}

#[tokio::test]
async fn uuids() {
    let client = session().await;
    let texts: Vec<String> = samples(any::<u128>())
        .into_iter()
        .chain([0, u128::MAX])
        .map(|bits| {
            // As the type prints it.
            let [a, b, c, d] = [bits >> 96, bits >> 80, bits >> 64, bits >> 48];
            let (b, c, d, e) = (b & 0xffff, c & 0xffff, d & 0xffff, bits & 0xffff_ffff_ffff);
            format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
        })
        .collect();
    Trip::of(&client, "uuid").run(&texts).await;
    printed(&client, "uuid", &texts).await;
    #[cfg(feature = "uuid")]
    Trip::of(&client, "uuid")
        .run(&samples(any::<u128>().prop_map(uuid::Uuid::from_u128)))
        .await;
}

#[tokio::test]
async fn xml() {
    let client = session().await;
    // A server may be built without it.
    if let Err(error) = run(&client, "select $1::xml", &("<a/>",)).await {
        assert_eq!(error.sqlstate().unwrap().code(), "0A000", "{error}");
        eprintln!("not tested: this server has no xml");
        return;
    }
    let texts = ["<a/>", "<a b='&lt;'>text</a>", "fragment <é/>", ""].map(String::from);
    // xml has no `==`, which the table does not need.
    Trip::of(&client, "xml").run(&texts).await;
    let row = row(&client, "select xmlelement(name a, $1::text)", &("<",)).await;
    assert_eq!(row.get::<&str>(0).unwrap(), "<a>&lt;</a>");
}
