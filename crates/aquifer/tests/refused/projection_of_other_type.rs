//~ error[E0308]: mismatched types
//~     name: i64,
//~ expected `Col<_, i64>`, found `Col<User, String>`
include!("schema.rs");

#[derive(Projection)]
#[entity(of = User)]
struct Headline {
    name: i64,
}

fn main() {}
