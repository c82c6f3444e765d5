//~ error[E0080]: evaluation panicked: to insert a `User`, give its field `active` a value
//~     insert!(User { name: "Ann" });
include!("schema.rs");

fn main() {
    insert!(User { name: "Ann" });
}
