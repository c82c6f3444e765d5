//~ error[E0271]: type mismatch resolving `<i32 as ColumnType>::Value == i64`
//~     #[entity(belongs_to = Owner::ID)]
//~                           -----^^^^
//~ expected `i64`, found `i32`
use aquifer::entity::Entity;

#[derive(Entity)]
#[entity(table = "owners")]
struct Owner {
    #[entity(key)]
    id: i32,
}

#[derive(Entity)]
#[entity(table = "pets")]
struct Pet {
    #[entity(key)]
    id: i64,
    #[entity(belongs_to = Owner::ID)]
    owner_id: i64,
}

fn main() {}
