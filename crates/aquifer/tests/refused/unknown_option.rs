//~ error: unknown option `tabel`: an entity knows `table`, `key`, `rename_all`, `soft_delete`, `version`, `has_many`, `crate`; did you mean `table`?
//~ #[entity(tabel = "users")]
//~          ^^^^^
use aquifer::entity::Entity;

#[derive(Entity)]
#[entity(tabel = "users")]
struct User {
    #[entity(key)]
    id: i64,
}

fn main() {}
