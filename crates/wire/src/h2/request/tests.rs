use http::Request;

use super::*;

const LIMITS: HeadLimits = HeadLimits { target: 100, fields: 10, section: 1000 };

fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn taken(parts: &Parts, ended: bool) -> Result<RequestHead, Malformed> {
    let mut head = RequestHead::default();
    take(parts, ended, &LIMITS, &mut head).map(|()| head)
}

#[test]
fn a_request_is_what_it_would_be_in_another_version() {
    let parts = request("POST", "http://a.example:80/b?c=d", &[("x-a", "1"), ("te", "trailers")]);
    let head = taken(&parts, false).unwrap();
    assert_eq!(head.method(), b"POST");
    assert_eq!(head.path(), b"/b");
    assert_eq!(head.query(), Some(&b"c=d"[..]));
    assert_eq!(head.authority(), b"a.example:80");
    assert_eq!(head.length, BodyLength::Unknown);
    assert_eq!(head.version, Version::Http2);
    assert_eq!(head.fields.all(b"x-a").collect::<Vec<_>>(), [b"1"]);
}

#[test]
fn lengths() {
    let length = |declared: &[(&str, &str)], ended| {
        taken(&request("PUT", "http://a/", declared), ended).map(|head| head.length)
    };
    assert_eq!(length(&[], true), Ok(BodyLength::Empty));
    assert_eq!(length(&[("content-length", "3")], false), Ok(BodyLength::Exact(3)));
    assert_eq!(length(&[("content-length", "0")], false), Ok(BodyLength::Empty));
    for bad in ["+3", "3,3", "", "0x3"] {
        assert!(length(&[("content-length", bad)], false).is_err(), "{bad}");
    }
}

#[test]
fn cookies_are_put_together_again() {
    let parts = request("GET", "http://a/", &[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]);
    let head = taken(&parts, true).unwrap();
    assert_eq!(head.fields.all_known(Known::Cookie).collect::<Vec<_>>(), [b"a=1; b=2"]);
}

#[test]
fn the_authority_has_one_meaning() {
    let with_host = |host| taken(&request("GET", "http://a.example/", &[("host", host)]), true);
    assert!(with_host("A.example").is_ok());
    assert_eq!(with_host("b.example").unwrap_err(), Malformed::Host);
    let only_host = |host| taken(&request("GET", "/", &[("host", host)]), true);
    assert_eq!(only_host("b.example").unwrap().authority(), b"b.example");
    assert_eq!(only_host("u@b").unwrap_err(), Malformed::Host);
    assert_eq!(taken(&request("GET", "/", &[]), true).unwrap_err(), Malformed::Host);
    let user = request("GET", "http://u@a.example/", &[]);
    assert_eq!(taken(&user, true).unwrap_err(), Malformed::Host);
}

#[test]
fn what_belongs_to_a_connection_is_refused() {
    for (name, value) in [
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
    ] {
        let parts = request("GET", "http://a/", &[(name, value)]);
        assert_eq!(taken(&parts, true).unwrap_err(), Malformed::FieldLine, "{name}: {value}");
    }
}

#[test]
fn limits_hold_after_decompression() {
    let long = format!("http://a/{}", "x".repeat(100));
    assert_eq!(taken(&request("GET", &long, &[]), true).unwrap_err(), Malformed::TargetTooLong);
    let large = "x".repeat(1000);
    let parts = request("GET", "http://a/", &[("x", &large)]);
    assert_eq!(taken(&parts, true).unwrap_err(), Malformed::HeadTooLarge);
    let many = [("x", "y"); 11];
    assert_eq!(
        taken(&request("GET", "http://a/", &many), true).unwrap_err(),
        Malformed::HeadTooLarge
    );
}

#[test]
fn an_extended_connect_is_an_upgrade() {
    let mut parts = request("CONNECT", "http://a/chat", &[]);
    assert_eq!(taken(&parts, false).unwrap_err(), Malformed::Connect);
    parts.extensions.insert(h2::ext::Protocol::from_static("websocket"));
    let head = taken(&parts, false).unwrap();
    assert!(head.upgrade);
    assert_eq!(head.method(), b"GET");
    assert_eq!(head.fields.first(Known::Upgrade), Some(&b"websocket"[..]));
    assert_eq!(head.length, BodyLength::Empty);
}
