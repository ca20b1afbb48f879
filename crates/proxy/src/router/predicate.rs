//! What routes ask of header fields, query parameters, cookies, clients and listeners.

use std::net::IpAddr;

use portcullis_config::model::{Name, Predicate, ValueTest};
use portcullis_wire::{Fields, Known};

use super::Request;
use crate::path::unhex;

/// Where a predicate looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Query,
    Cookie,
}

/// Whether the request has what the predicate asks for. `text` is working memory.
pub(super) fn holds(
    place: Place,
    predicate: &Predicate,
    request: &Request<'_>,
    text: &mut Vec<u8>,
) -> bool {
    let name = predicate.name.as_bytes();
    match place {
        Place::Header => passes(&predicate.test, request.fields.all(name)),
        Place::Cookie => passes(&predicate.test, cookies(request.fields, name)),
        Place::Query => {
            let mut values = query_values(request.query, name);
            match &predicate.test {
                ValueTest::Present(wanted) => values.next().is_some() == *wanted,
                ValueTest::Exact(value) => values.any(|raw| Decode(raw).eq(value.bytes())),
                ValueTest::Regex(regex) => values.any(|raw| regex.is_match(decoded(raw, text))),
            }
        }
    }
}

/// Whether any of the values passes the test.
fn passes<'a>(test: &ValueTest, mut values: impl Iterator<Item = &'a [u8]>) -> bool {
    match test {
        ValueTest::Present(wanted) => values.next().is_some() == *wanted,
        ValueTest::Exact(value) => values.any(|found| found == value.as_bytes()),
        ValueTest::Regex(regex) => values.any(|found| regex.is_match(found)),
    }
}

/// Calls `each` with every value that the request has under this name.
pub(super) fn each_value(
    place: Place,
    name: &str,
    request: &Request<'_>,
    text: &mut Vec<u8>,
    mut each: impl FnMut(&[u8]),
) {
    let name = name.as_bytes();
    match place {
        Place::Header => request.fields.all(name).for_each(each),
        Place::Cookie => cookies(request.fields, name).for_each(each),
        Place::Query => {
            query_values(request.query, name).for_each(|raw| each(decoded(raw, text)));
        }
    }
}

/// Whether the request came in through one of the listeners; no listener at all is any.
pub(super) fn is_of_listener(listeners: &[Name], listener: &str) -> bool {
    listeners.is_empty() || listeners.iter().any(|name| **name == *listener)
}

/// Whether the client is in one of the networks; no network at all lets every client in. An IPv4
/// client on an IPv6 socket counts as IPv4.
pub(super) fn is_client_of(networks: &[ipnet::IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.is_empty() || networks.iter().any(|network| network.contains(&client))
}

/// Values of the cookies of this name: `name=value` pairs with `;` between them (RFC 6265, 4.2),
/// without white space around and without the double quotes that may enclose a value.
pub(crate) fn cookies<'a>(fields: &'a Fields, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    fields.all_known(Known::Cookie).flat_map(|line| line.split(|&byte| byte == b';')).filter_map(
        move |pair| {
            let (found, value) = split_once(pair, b'=')?;
            let value = value.trim_ascii();
            let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            (found.trim_ascii() == name).then_some(inner.unwrap_or(value))
        },
    )
}

/// Calls `each` with every value, decoded, of the query parameters of this name. One that has to be
/// decoded for that is copied.
pub(crate) fn each_query_value(query: Option<&[u8]>, name: &str, each: &mut dyn FnMut(&[u8])) {
    let mut text = Vec::new();
    query_values(query, name.as_bytes()).for_each(|raw| each(decoded(raw, &mut text)));
}

/// Values, still encoded, of the query parameters of this name. One without `=` has an empty value.
pub(crate) fn query_values<'a>(
    query: Option<&'a [u8]>,
    name: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    query
        .unwrap_or_default()
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| split_once(pair, b'=').unwrap_or((pair, b"")))
        .filter(move |(found, _)| *found == name || Decode(found).eq(name.iter().copied()))
        .map(|(_, value)| value)
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(at, text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The decoded text: `raw` itself where nothing is encoded, else a copy in `text`.
fn decoded<'a>(raw: &'a [u8], text: &'a mut Vec<u8>) -> &'a [u8] {
    if memchr::memchr2(b'%', b'+', raw).is_none() {
        return raw;
    }
    text.clear();
    text.extend(Decode(raw));
    text
}

/// Bytes of form-encoded text: `%XX` is a byte and `+` a space. What is no escape stays as it is.
struct Decode<'a>(&'a [u8]);

impl Iterator for Decode<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        match first {
            b'+' => Some(b' '),
            b'%' => match rest.get(..2).and_then(unhex) {
                Some(byte) => {
                    self.0 = &rest[2..];
                    Some(byte)
                }
                None => Some(b'%'),
            },
            _ => Some(first),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use regex::bytes::Regex;

    use super::*;

    fn check(
        place: Place,
        name: &str,
        test: ValueTest,
        query: &str,
        lines: &[(&str, &str)],
    ) -> bool {
        let mut fields = Fields::default();
        for (name, value) in lines {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        let request = Request {
            listener: "web",
            host: b"",
            path: b"/",
            query: Some(query.as_bytes()),
            method: b"GET",
            fields: &fields,
            client: IpAddr::from([127, 0, 0, 1]),
        };
        let predicate = Predicate { name: Arc::from(name), test };
        holds(place, &predicate, &request, &mut Vec::new())
    }

    fn exact(value: &str) -> ValueTest {
        ValueTest::Exact(Arc::from(value))
    }

    fn regex(source: &str) -> ValueTest {
        ValueTest::Regex(Regex::new(source).unwrap())
    }

    #[test]
    fn query_parameters_are_decoded() {
        let cases = [
            ("a=1", "a", exact("1"), true),
            ("b=2&a=1", "a", exact("1"), true),
            ("a=2&a=1", "a", exact("1"), true),
            ("a=2", "a", exact("1"), false),
            ("a=%31", "a", exact("1"), true),
            ("%61=1", "a", exact("1"), true),
            ("a=x+y%20z", "a", exact("x y z"), true),
            ("a=%2", "a", exact("%2"), true),
            ("a=%zz", "a", exact("%zz"), true),
            ("a=1=2", "a", exact("1=2"), true),
            ("a", "a", exact(""), true),
            ("a", "a", ValueTest::Present(true), true),
            ("&&", "", ValueTest::Present(true), false),
            ("", "a", ValueTest::Present(false), true),
            ("A=1", "a", ValueTest::Present(true), false),
            ("a=1", "a", ValueTest::Present(false), false),
            ("a=4%32", "a", regex("^[0-9]+$"), true),
            ("a=x", "a", regex("^[0-9]+$"), false),
            ("a=1;b=2", "b", ValueTest::Present(true), false),
        ];
        for (query, name, test, expected) in cases {
            let found = check(Place::Query, name, test.clone(), query, &[]);
            assert_eq!(found, expected, "{query} {name} {test:?}");
        }
    }

    #[test]
    fn any_field_line_will_do() {
        let lines = [("X-A", "1"), ("x-a", "2"), ("x-b", "")];
        let cases = [
            ("x-a", exact("2"), true),
            ("x-a", exact("1, 2"), false),
            ("x-a", exact("3"), false),
            ("x-b", exact(""), true),
            ("x-b", ValueTest::Present(true), true),
            ("x-c", ValueTest::Present(true), false),
            ("x-c", ValueTest::Present(false), true),
            ("x-a", regex("^2$"), true),
        ];
        for (name, test, expected) in cases {
            let found = check(Place::Header, name, test.clone(), "", &lines);
            assert_eq!(found, expected, "{name} {test:?}");
        }
    }

    #[test]
    fn cookies_come_from_every_cookie_field() {
        let lines = [("cookie", "tier=gold; a=\"q v\" ;b=x=y"), ("Cookie", "late=1; bare; =no")];
        let cases = [
            ("tier", exact("gold"), true),
            ("Tier", exact("gold"), false),
            ("a", exact("q v"), true),
            ("b", exact("x=y"), true),
            ("late", exact("1"), true),
            ("bare", ValueTest::Present(true), false),
            ("tier", regex("^(gold|iron)$"), true),
        ];
        for (name, test, expected) in cases {
            let found = check(Place::Cookie, name, test.clone(), "", &lines);
            assert_eq!(found, expected, "{name} {test:?}");
        }
    }

    #[test]
    fn mapped_ipv4_clients_are_ipv4() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        assert!(is_client_of(&networks, "10.1.2.3".parse().unwrap()));
        assert!(is_client_of(&networks, "::ffff:10.1.2.3".parse().unwrap()));
        assert!(!is_client_of(&networks, "11.1.2.3".parse().unwrap()));
        assert!(is_client_of(&[], "11.1.2.3".parse().unwrap()));
    }
}
