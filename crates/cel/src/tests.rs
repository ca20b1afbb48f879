//! What expressions mean, what is refused, and that nothing breaks them.

mod faults;
mod random;

use std::borrow::Cow;
use std::rc::Rc;

use crate::{HostList, HostMap, List, Map, Program, RunError, Schema, Source, Type, Value};

/// JSON of a kind, as a source might have it.
#[derive(Debug)]
enum Json {
    Null,
    Number(f64),
    Text(&'static str),
    Some(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    fn value(&self) -> Value<'_> {
        match self {
            Json::Null => Value::Null,
            Json::Number(number) => Value::Double(*number),
            Json::Text(text) => Value::text(text),
            Json::Some(_) => Value::List(List::Host(Rc::new(self))),
            Json::Object(_) => Value::Map(Map::Host(Rc::new(self))),
        }
    }
}

impl<'a> HostList<'a> for &'a Json {
    fn len(&self) -> usize {
        match self {
            Json::Some(items) => items.len(),
            _ => 0,
        }
    }

    fn item(&self, place: usize) -> Option<Value<'a>> {
        match self {
            Json::Some(items) => items.get(place).map(Json::value),
            _ => None,
        }
    }

    fn items(&self) -> Vec<Value<'a>> {
        match self {
            Json::Some(items) => items.iter().map(Json::value).collect(),
            _ => Vec::new(),
        }
    }
}

impl<'a> HostMap<'a> for &'a Json {
    fn len(&self) -> usize {
        match self {
            Json::Object(entries) => entries.len(),
            _ => 0,
        }
    }

    fn value(&self, key: &str) -> Result<Option<Value<'a>>, &'static str> {
        let Json::Object(entries) = self else { return Ok(None) };
        let mut found = entries.iter().filter(|(known, _)| *known == key);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err("there more than once"),
            (found, None) => Ok(found.map(|(_, value)| Json::value(value))),
        }
    }

    fn keys(&self) -> Vec<Cow<'a, str>> {
        let Json::Object(entries) = self else { return Vec::new() };
        entries.iter().map(|(key, _)| Cow::Borrowed(*key)).collect()
    }
}

struct Request {
    headers: Json,
    claims: Json,
}

impl Default for Request {
    fn default() -> Request {
        Request {
            headers: Json::Object(vec![
                ("x-env", Json::Text("canary")),
                ("twice", Json::Text("a")),
                ("twice", Json::Text("b")),
            ]),
            claims: Json::Object(vec![
                ("sub", Json::Text("ann")),
                ("age", Json::Number(41.0)),
                ("none", Json::Null),
                ("roles", Json::Some(vec![Json::Text("admin"), Json::Text("ops")])),
                ("deep", Json::Object(vec![("er", Json::Text("x"))])),
            ]),
        }
    }
}

impl<'a> Source<'a> for &'a Request {
    fn variable(&self, place: usize) -> Result<Value<'a>, &'static str> {
        let request: &'a Request = self;
        match place {
            0 => Ok(Value::text("GET")),
            1 => Ok(request.headers.value()),
            2 => Ok(request.claims.value()),
            3 => Ok(Value::text("192.0.2.7")),
            4 => Ok(Value::Timestamp("2024-02-29T23:30:15.5Z".parse().unwrap())),
            _ => Err("cannot be told"),
        }
    }
}

fn schema() -> Schema {
    Schema::new([
        ("request.method", Type::String),
        ("request.headers", Type::map(Type::String)),
        ("claims", Type::Dyn),
        ("request.ip", Type::String),
        ("request.time", Type::Timestamp),
        ("broken", Type::Bool),
    ])
}

fn holds(source: &str) -> Result<bool, RunError> {
    let program = Program::predicate(source, &schema());
    let program = program.unwrap_or_else(|fault| panic!("{source}: {fault:?}"));
    program.holds(&&Request::default(), crate::BUDGET)
}

/// These are true.
fn all_hold(sources: &[&str]) {
    for source in sources {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

/// These compile, and fail when they run.
fn all_fail(sources: &[&str]) {
    for source in sources {
        assert!(holds(source).is_err(), "{source}: {:?}", holds(source));
    }
}

#[test]
fn literals_and_operators() {
    all_hold(&[
        "1 + 2 * 3 == 7 && (1 + 2) * 3 == 9 && 7 / 2 == 3 && -7 % 3 == -1",
        "-9223372036854775808 < 0 && - -5 == 5 && !!true && 0x1F == 31 && 5u == 5u",
        "1.5e3 == 1500.0 && .5 < 1.0 && 1 == 1.0 && 2u > 1 && 1 < 1.5",
        "'a' + \"b\" == r'ab' && '\\x41\\u00e9\\101' == 'AéA' && '''a'b''' == \"a'b\" && r'\\n' == '\\\\n'",
        "b'\\xff' != b'a' && b'ab' + b'c' == b'abc' && bytes('é') == b'\\xc3\\xa9'",
        "[1, 2] + [3] == [1, 2, 3] && 2 in [1, 2] && !(5 in [1]) && [1, 2][1] == 2",
        "{'a': 1, 'b': 2,} == {'b': 2, 'a': 1} && 'a' in {'a': 1} && {'a': [1]}.a[0] == 1",
        "(true ? 1 : 2) == 1 && (false ? 1 : true ? 3 : 4) == 3",
        "'a' < 'b' && false < true && b'a' < b'b' && null == null && claims.none == null",
        "1 != 2 // a comment\n && true",
        "{1: 'x'}[1] == 'x' && {true: 1}[true] == 1",
    ]);
}

#[test]
fn variables_are_found_by_their_dotted_names() {
    all_hold(&[
        "request.method == 'GET' && request.headers['x-env'] == 'canary'",
        "request.headers.twice == 'a' || request.method.size() == 3",
        "claims.sub == 'ann' && claims['sub'].startsWith('a') && claims.age == 41",
        "claims.deep.er == 'x' && has(claims.deep.er) && !has(claims.deep.no) && !has(claims.no)",
        "'admin' in claims.roles && claims.roles.size() == 2 && size(claims) == 5",
        "has(request.headers.host) || !('host' in request.headers)",
    ]);
    all_fail(&[
        "claims.no == 'x'",
        "claims.sub.x == 'x'",
        "claims.age == 41 && claims.sub && true",
        "request.headers['twice'] == 'a'",
        "request.headers.host == 'x'",
        "claims.roles[2] == 'x' || claims.roles[-1] == 'x'",
        "broken",
    ]);
}

#[test]
fn an_error_does_not_matter_where_something_else_decides() {
    all_hold(&[
        "broken || true",
        "true || broken",
        "!(broken && false)",
        "!(false && broken)",
        "[1, 2].exists(x, x == 2 || broken)",
        "!['a', 'b'].all(x, x == 'b' && broken)",
    ]);
    all_fail(&["broken && true", "broken || false", "[1].all(x, broken)", "!broken"]);
}

#[test]
fn macros_go_through_lists_and_keys() {
    all_hold(&[
        "[1, 2, 3].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x > 1)",
        "[1, 2, 3].filter(x, x > 1) == [2, 3] && [1, 2].map(x, x * 2) == [2, 4]",
        "[1, 2, 3].map(x, x > 1, x * 2) == [4, 6] && [].all(x, false) && ![].exists(x, true)",
        "claims.roles.exists(r, r == 'ops') && {'a': 1, 'b': 2}.all(k, k in ['a', 'b'])",
        "[1, 2].map(x, [10, 20].map(y, x + y)) == [[11, 21], [12, 22]]",
        "[1].exists(x, [2].exists(x, x == 2) && x == 1)",
        "claims.exists(key, key == 'sub')",
    ]);
}

#[test]
fn functions() {
    all_hold(&[
        "'Abc'.lowerAscii() == 'abc' && 'Abc'.upperAscii() == 'ABC' && ' a '.trim() == 'a'",
        "'abc'.contains('b') && 'abc'.endsWith('bc') && 'abc'.matches('^a.c$') && matches('abc', 'b')",
        "size('é') == 1 && size(b'\\xc3\\xa9') == 2 && 'é'.size() == 1 && {'a': 1}.size() == 1",
        "string(1) == '1' && string(true) == 'true' && string(1.5) == '1.5' && string(b'a') == 'a'",
        "int('5') == 5 && int(5.9) == 5 && int(-5.9) == -5 && uint(5) == 5u && double('1.5') == 1.5",
        "bool('true') && int(timestamp('1970-01-01T00:01:00Z')) == 60 && timestamp(60) == timestamp('1970-01-01T00:01:00Z')",
        "duration('1h30m') == duration('5400s') && string(duration('1.5s')) == '1.5s' && duration('-10ms') < duration('0')",
        "timestamp('2024-01-01T00:00:00Z') + duration('24h') == timestamp('2024-01-02T00:00:00Z')",
        "request.time - timestamp('2024-02-29T23:30:15.5Z') == duration('0s')",
        "request.time.getFullYear() == 2024 && request.time.getMonth() == 1 && request.time.getDate() == 29",
        "request.time.getDayOfMonth() == 28 && request.time.getDayOfWeek() == 4 && request.time.getDayOfYear() == 59",
        "request.time.getHours() == 23 && request.time.getHours('Europe/Berlin') == 0 && request.time.getDate('Europe/Berlin') == 1",
        "request.time.getMinutes() == 30 && request.time.getSeconds() == 15 && request.time.getMilliseconds() == 500",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90",
        "request.ip.inNetwork('192.0.2.0/24') && !request.ip.inNetwork('10.0.0.1')",
        "'::ffff:10.0.0.1'.inNetwork('10.0.0.0/8') && dyn(1) == 1",
    ]);
    all_fail(&[
        "int('x') == 1",
        "int(1e30) == 1",
        "uint(-1) == 1u",
        "9223372036854775807 + 1 > 0",
        "1 / 0 == 1",
        "1 % 0 == 1",
        "-(-9223372036854775808) > 0",
        "-9223372036854775808 / -1 > 0",
        "string(b'\\xff') == ''",
        "bool('maybe')",
        "timestamp('yesterday') < request.time",
        "duration('1x') > duration('0')",
        "duration('1.2.3s') > duration('0')",
        "request.time + duration('300000000h') > request.time",
        "'x'.inNetwork('10.0.0.0/8')",
        "{'a': 1, 'a': 2}.size() == 2",
        "dyn('a') + 1 == 2",
    ]);
}

#[test]
fn a_run_ends() {
    let long = "'0123456789abcdef'";
    let list = format!("[{}]", vec![long; 100].join(", "));
    let nested = format!("{list}.all(a, {list}.all(b, {list}.all(c, a + b + c != '')))");
    let program = Program::predicate(&nested, &schema()).unwrap();
    assert_eq!(program.holds(&&Request::default(), crate::BUDGET), Err(RunError::TooCostly));
    // Nor does an error that is swallowed elsewhere hide it.
    let hidden = Program::predicate(&format!("{nested} || true"), &schema()).unwrap();
    assert_eq!(hidden.holds(&&Request::default(), crate::BUDGET), Err(RunError::TooCostly));
    let double = "[''].map(a, a + 'x').map(a, a + a).map(a, a + a) == ['xxxx']";
    assert_eq!(holds(double), Ok(true));
}
