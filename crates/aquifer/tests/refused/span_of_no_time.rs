//~ error[E0599]: the method `later_by` exists for struct `Col<User, String>`, but its trait bounds were not satisfied
//~     User::NAME.later_by(aquifer::types::Interval::default());
//~                ^^^^^^^^
//~ `String: Moment`
include!("schema.rs");

fn main() {
    User::NAME.later_by(aquifer::types::Interval::default());
}
