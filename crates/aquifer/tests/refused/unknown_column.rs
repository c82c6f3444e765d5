//~ error[E0599]: no associated item named `EMAIL` found for struct `User`
//~     User::query().filter(User::EMAIL.eq("x"));
//~                                ^^^^^ associated item not found in `User`
include!("schema.rs");

fn main() {
    User::query().filter(User::EMAIL.eq("x"));
}
