//~ error[E0277]: `String` can't count the changes of a row
//~     revision: String,
//~               ^^^^^^ a version is an i16, i32 or i64
use aquifer::entity::Entity;

#[derive(Entity)]
#[entity(table = "users", version = revision)]
struct User {
    #[entity(key)]
    id: i64,
    revision: String,
}

fn main() {}
