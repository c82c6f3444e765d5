use std::collections::HashMap;
use std::sync::LazyLock;

/// What the grammar of PostgreSQL 15 makes of a word (its `kwlist.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// Never a name, and an expression or a name may follow.
    Reserved,
    /// Never a name, and a value by itself, such as `current_date`.
    Value,
    /// May name a column, never a function: `coalesce(…)` is grammar.
    ColumnName,
    /// May name a function: so may words that are no keywords.
    Other,
}

impl Keyword {
    /// Looks up a word in lower case.
    pub(super) fn of(word: &str) -> Option<Self> {
        KEYWORDS.get(word).copied()
    }

    /// Whether `word(` is grammar and never the call of a function.
    pub(super) fn bars_call(self) -> bool {
        !matches!(self, Self::Other)
    }
}

static KEYWORDS: LazyLock<HashMap<&str, Keyword>> = LazyLock::new(|| {
    [
        (RESERVED, Keyword::Reserved),
        (VALUES, Keyword::Value),
        (COLUMN_NAMES, Keyword::ColumnName),
        (FUNCTION_NAMES, Keyword::Other),
        (UNRESERVED, Keyword::Other),
    ]
    .into_iter()
    .flat_map(|(words, kind)| words.split_ascii_whitespace().map(move |word| (word, kind)))
    .collect()
});

const RESERVED: &str = "
    all analyse analyze and any array as asc asymmetric both case cast check collate column
    constraint create default deferrable desc distinct do else except fetch for foreign from grant
    group having in initially intersect into lateral leading limit not offset on only or order
    placing primary references returning select some symmetric table then to trailing union unique
    using variadic when where window with";

const VALUES: &str = "
    current_catalog current_date current_role current_time current_timestamp current_user end false
    localtime localtimestamp null session_user true user";

const COLUMN_NAMES: &str = "
    between bigint bit boolean char character coalesce dec decimal exists extract float greatest
    grouping inout int integer interval least national nchar none normalize nullif numeric out
    position precision real row setof smallint time timestamp treat trim values varchar
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable";

// The grammar counts `overlay` and `substring` as column names, but passes their plain form with
// commas to whatever function the search path finds.
const FUNCTION_NAMES: &str = "
    authorization binary collation concurrently cross current_schema freeze full ilike inner is
    isnull join left like natural notnull outer overlaps overlay right similar substring tablesample
    verbose";

// `path` became a keyword in a later version; here it is because an expression may follow it in
// XMLTABLE.
const UNRESERVED: &str = "
    abort absolute access action add admin after aggregate also alter always asensitive assertion
    assignment at atomic attach attribute backward before begin breadth by cache call called
    cascade cascaded catalog chain characteristics checkpoint class close cluster columns comment
    comments commit committed compression configuration conflict connection constraints content
    continue conversion copy cost csv cube current cursor cycle data database day deallocate
    declare defaults deferred definer delete delimiter delimiters depends depth detach dictionary
    disable discard document domain double drop each enable encoding encrypted enum escape event
    exclude excluding exclusive execute explain expression extension external family filter
    finalize first following force forward function functions generated global granted groups
    handler header hold hour identity if immediate immutable implicit import include including
    increment index indexes inherit inherits inline input insensitive insert instead invoker
    isolation key label language large last leakproof level listen load local location lock locked
    logged mapping match matched materialized maxvalue merge method minute minvalue mode month move
    name names new next nfc nfd nfkc nfkd no normalized nothing notify nowait nulls object of off
    oids old operator option options ordinality others over overriding owned owner parallel
    parameter parser partial partition passing password path plans policy preceding prepare
    prepared preserve prior privileges procedural procedure procedures program publication quote
    range read reassign recheck recursive ref referencing refresh reindex relative release rename
    repeatable replace replica reset restart restrict return returns revoke role rollback rollup
    routine routines rows rule savepoint schema schemas scroll search second security sequence
    sequences serializable server session set sets share show simple skip snapshot sql stable
    standalone start statement statistics stdin stdout storage stored strict strip subscription
    support sysid system tables tablespace temp template temporary text ties transaction transform
    trigger truncate trusted type types uescape unbounded uncommitted unencrypted unknown unlisten
    unlogged until update vacuum valid validate validator value varying version view views volatile
    whitespace within without work wrapper write xml year yes zone";
