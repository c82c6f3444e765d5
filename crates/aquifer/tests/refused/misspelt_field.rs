//~ error[E0609]: no field `nmae` on type
//~     insert!(User { nmae: "Ann", name: "Ann", active: true });
//~                    ^^^^ unknown field
//~ help: a field with a similar name exists
include!("schema.rs");

fn main() {
    insert!(User { nmae: "Ann", name: "Ann", active: true });
}
