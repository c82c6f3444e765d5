//~ error[E0599]: no method named `over` found for struct `Expr<User, String>`
include!("schema.rs");

fn main() {
    User::NAME.lower().over(window());
}
