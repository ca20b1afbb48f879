//! What is found when an expression is compiled, and where.

use super::schema;
use crate::Program;

/// What is wrong with an expression, and the part that it is about.
fn fault(source: &str) -> (String, String) {
    match Program::predicate(source, &schema()) {
        Ok(_) => panic!("{source}: nothing"),
        Err(fault) => (fault.message.clone(), source[fault.at.clone()].to_owned()),
    }
}

#[test]
fn each_fault_has_its_words_and_its_place() {
    for (source, message, at) in [
        ("", "the expression ends too early", ""),
        ("1 ==", "the expression ends too early", ""),
        ("(1 == 1", "the expression ends where `)` is missing", ""),
        ("1 == 1)", "the expression has ended before this", ")"),
        ("1 = 1", "`=` means nothing here", "="),
        ("'a", "this string does not end", "'a"),
        ("'a\nb' == ''", "this string does not end on its line", "'a"),
        ("'\\q' == ''", "there is no such escape", "\\q"),
        ("'\\ud800' == ''", "there is no such escape", "\\ud800"),
        ("1x == 1", "a number cannot be followed by this", "1x"),
        ("99999999999999999999 == 1", "this number is too large", "99999999999999999999"),
        ("9223372036854775808 == 1", "this number is too large", "9223372036854775808"),
        ("method == 'GET'", "there is no variable `method`", "method"),
        ("request == 1", "`request` is no value, only what it has inside", "request"),
        ("request.verb == 'GET'", "there is no variable `request.verb`", "request.verb"),
        ("consumer.name == ''", "there is no variable `consumer`", "consumer"),
        ("request.method.name == ''", "string has no fields", "request.method"),
        (
            "request.method",
            "this gives string, where yes or no (bool) is asked for",
            "request.method",
        ),
        ("request.method == 1", "string `==` int makes no sense", "request.method == 1"),
        ("request.method + 1 == ''", "string `+` int makes no sense", "request.method + 1"),
        ("1.5 % 2.0 == 0.0", "double `%` double makes no sense", "1.5 % 2.0"),
        ("1 in ['a']", "int `in` list(string) makes no sense", "1 in ['a']"),
        ("[1] < [2]", "list(int) `<` list(int) makes no sense", "[1] < [2]"),
        ("request.method && true", "expected bool, this is string", "request.method"),
        ("!1 == true", "expected bool, this is int", "1"),
        ("-'a' == ''", "string has no negative", "'a'"),
        ("lower('a') == ''", "there is no function `lower`", "lower('a')"),
        ("'a'.size(1) == 1", "`size` does not take (string, int)", "'a'.size(1)"),
        (
            "contains('a', 'b')",
            "`contains` stands behind what it asks, as in `x.contains()`",
            "contains('a', 'b')",
        ),
        ("1.int() == 1", "`int` stands in front of what it takes, as in `int(x)`", "1.int()"),
        ("has(request)", "`has` asks for a field, such as `has(claims.email)`", "request"),
        ("has(request.method)", "`request.method` is always there", "request.method"),
        ("has(request.verb)", "there is no variable `request.verb`", "request.verb"),
        (
            "'a'.matches(request.method)",
            "a regular expression must be written out here",
            "request.method",
        ),
        ("'a'.matches('(')", "this is no regular expression", "'('"),
        ("request.ip.inNetwork('10/8')", "`10/8` is no network", "'10/8'"),
        ("request.time.getHours('Mars') == 1", "there is no time zone `Mars`", "'Mars'"),
        ("[1].all(1, true)", "expected a name, such as `all(x, ...)`", "1"),
        ("[1].all(x)", "`all` takes 2 arguments, not 1", "[1].all(x)"),
        ("1.exists(x, true)", "int has no items", "1"),
        ("[1].all(x, x)", "expected bool, this is int", "x"),
        ("[1].map(x, y) == [1]", "there is no variable `y`", "y"),
        ("{1.5: 2} == {}", "double cannot be a key", "1.5"),
        ("if (true) 1", "`if` is a reserved word", "if"),
        ("not true", "`not` is written `!`", "not"),
        ("{'a': 1}.a.b == 1", "int has no fields", "{'a': 1}.a"),
        ("'a'[0] == 'a'", "string has no parts", "'a'"),
    ] {
        assert_eq!(fault(source), (message.to_owned(), at.to_owned()), "{source}");
    }
}

#[test]
fn size_and_depth_have_bounds() {
    let deep = |levels: usize| format!("{}true{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Program::compile(&deep(50), &schema()).is_ok());
    for source in [
        deep(100),
        deep(7_000),
        "!".repeat(10_000),
        "[".repeat(10_000),
        "-".repeat(9_000) + "1",
        "1+".repeat(5_000) + "1",
        "a.".repeat(5_000) + "a",
        "true?".repeat(2_000) + "1",
        "{1:".repeat(3_000),
        "[1].map(x,".repeat(1_000),
    ] {
        assert!(Program::compile(&source, &schema()).is_err());
    }
    assert!(Program::compile(&"x".repeat(20_000), &schema()).is_err());
    // A long list of conditions is not deep.
    let many = vec!["request.method == 'GET'"; 500].join(" && ");
    assert!(Program::predicate(&many, &schema()).is_ok());
}
