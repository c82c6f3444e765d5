//~ error[E0080]: evaluation panicked: the database fills the field `id` of `User` (it is `auto`): leave it out
include!("schema.rs");

fn main() {
    insert!(User { id: 1, name: "Ann", active: true });
}
