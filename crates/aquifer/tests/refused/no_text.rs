//~ error[E0599]: the method `contains` exists for struct `Col<User, i64>`, but its trait bounds were not satisfied
//~     User::query().filter(User::ID.contains("1"));
//~                                   ^^^^^^^^
//~ `i64: Text`
include!("schema.rs");

fn main() {
    User::query().filter(User::ID.contains("1"));
}
