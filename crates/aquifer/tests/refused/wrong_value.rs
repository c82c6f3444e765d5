//~ error[E0277]: a column of type `bool` can't be set to `&str`
//~     insert!(User { name: "Ann", active: "yes" });
//~ expected a value of type `bool`
include!("schema.rs");

fn main() {
    insert!(User { name: "Ann", active: "yes" });
}
