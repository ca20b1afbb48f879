//! Whatever is written, compiling and running end without a panic.

use proptest::prelude::*;

use super::{Request, schema};
use crate::Program;

/// Pieces that expressions are made of.
const PIECES: &[&str] = &[
    "request",
    "method",
    "headers",
    "claims",
    "sub",
    "roles",
    "x",
    "y",
    "broken",
    "time",
    "ip",
    ".",
    ".",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    " in ",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "2u",
    "1.5",
    "1e308",
    "'a'",
    "\"\"",
    "'é'",
    "b'\\xff'",
    "r'\\'",
    "'''",
    "'",
    "\\",
    "null",
    "true",
    "false",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "size",
    "matches",
    "int",
    "uint",
    "string",
    "double",
    "timestamp",
    "duration",
    "getHours",
    "inNetwork",
    "contains",
    "trim",
    "dyn",
    "bytes",
    "0x",
    "//",
    "\n",
    "é",
    "if",
];

/// Expressions that mostly compile.
fn sound() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("'a'".to_owned()),
        Just("true".to_owned()),
        Just("claims".to_owned()),
        Just("claims.roles".to_owned()),
        Just("claims.age".to_owned()),
        Just("request.method".to_owned()),
        Just("request.time".to_owned()),
        Just("broken".to_owned()),
        Just("[1, 2]".to_owned()),
        Just("{'a': 1}".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("duration('1h')".to_owned()),
    ];
    leaf.prop_recursive(5, 64, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let operators = prop::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", "in", "&&", "||",
        ]);
        let functions =
            prop::sample::select(vec!["int", "string", "double", "size", "dyn", "uint"]);
        let macros = prop::sample::select(vec!["all", "exists", "exists_one", "map", "filter"]);
        prop_oneof![
            (two.clone(), operators).prop_map(|((a, b), o)| format!("(dyn({a}) {o} dyn({b}))")),
            (inner.clone(), functions).prop_map(|(a, f)| format!("{f}(dyn({a}))")),
            (two.clone(), macros).prop_map(|((a, b), m)| format!("dyn({a}).{m}(x, dyn({b}))")),
            two.clone().prop_map(|(a, b)| format!("dyn({a})[dyn({b})]")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.prop_map(|(a, b)| format!("(dyn({a}) ? {b} : {a})")),
            inner.prop_map(|a| format!("-dyn({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_pieces_break_it(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        if let Ok(program) = Program::compile(&pieces.concat(), &schema()) {
            let _ = program.run(&&Request::default(), 2_000);
        }
    }

    #[test]
    fn no_text_breaks_it(text in any::<String>()) {
        let _ = Program::compile(&text, &schema());
    }

    #[test]
    fn what_compiles_ends(source in sound()) {
        if let Ok(program) = Program::compile(&source, &schema()) {
            let _ = program.run(&&Request::default(), 2_000);
        }
    }
}
