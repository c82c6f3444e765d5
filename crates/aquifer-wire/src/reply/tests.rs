use super::read_count;

#[test]
fn the_count_is_the_last_word_of_the_tag_if_that_is_a_number() {
    for (tag, count) in [
        ("INSERT 0 1", 1),
        ("UPDATE 1200", 1200),
        ("SELECT 18446744073709551615", u64::MAX),
        ("SELECT 18446744073709551616", 0),
        ("CREATE TABLE", 0),
        ("VACUUM2", 0),
        ("DELETE ", 0),
        ("7", 7),
        ("", 0),
    ] {
        assert_eq!(read_count(tag.as_bytes()), count, "{tag}");
    }
}
