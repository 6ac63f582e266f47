//! Mistakes in `[streams]` and `[[callers]]`.

use super::*;

#[test]
fn what_media_servers_may_ask_is_checked_by_key() {
    check_top(
        "[streams]\nnetworks = [\"10.0.0.1/8\"]\nsecond_origin = \"refus\"\noverloaded_edge = true\nrelays = 9\n\
         poll_interval = \"1ms\"",
        &[
            (
                "\"10.0.0.1/8\"",
                "networks: 10.0.0.1/8 has bits set beyond its prefix: did you mean \"10.0.0.0/8\"?",
            ),
            (
                "\"refus\"",
                "second_origin: `refus` is not one of \"allow\" or \"refuse\"; did you mean \"refuse\"?",
            ),
            ("true", "overloaded_edge: expected a string, found a boolean"),
            ("9", "relays: 9 is out of range: expected 0 to 8"),
            ("\"1ms\"", "poll_interval: 1ms is out of range: expected 1s to 10m"),
        ],
    );
}

#[test]
fn callers_speak_for_a_pool_that_exists_by_a_token_of_their_own() {
    check_top(
        "[[callers]]\ntoken_file = \"a\"\npool = \"egdes\"\n[[callers]]\ntoken_file = \"a\"\npool = \"edges\"\n\
         [[callers]]\n[streams]",
        &[
            ("\"egdes\"", "pool: there is no pool `egdes`; did you mean `edges`?"),
            ("\"a\"", "token_file: a speaks for a pool already"),
            ("[[callers]]", "missing key `token_file` in [[callers]]"),
            ("[[callers]]", "missing key `pool` in [[callers]]"),
        ],
    );
    check_top(
        "[[callers]]\ntoken_file = \"a\"\npool = \"edges\"",
        &[("\"a\"", "callers: nobody can call without [streams]: expected that table, if only empty")],
    );
}

#[test]
fn an_empty_table_has_the_defaults() {
    let config = parse(&format!("{}[streams]", File::default().text()));
    assert_eq!(config.streams, Some(Streams::default()));
    assert_eq!(parse(&File::default().text()).streams, None);
}
