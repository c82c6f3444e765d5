//~ error[E0080]: evaluation panicked: a column for soft_delete is NULL as long as the row is not deleted: make it an Option
//~     deleted_at: std::time::SystemTime,
use aquifer::entity::Entity;

#[derive(Entity)]
#[entity(table = "users", soft_delete = deleted_at)]
struct User {
    #[entity(key)]
    id: i64,
    deleted_at: std::time::SystemTime,
}

fn main() {}
