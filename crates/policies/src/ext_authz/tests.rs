use std::net::IpAddr;
use std::time::Duration;

use portcullis_config::model::{AuthzCache, AuthzPart, Name, StoreTls};
use portcullis_wire::{RequestHead, ResponseHead};

use super::*;
use crate::registry::Scope;

fn names(names: &[&str]) -> Vec<Name> {
    names.iter().map(|name| (*name).into()).collect()
}

fn written(regardless_of: &[AuthzPart]) -> model::ExtAuthz {
    model::ExtAuthz {
        name: "ext_authz".into(),
        url: "http://127.0.0.1:1/".parse().unwrap(),
        send: names(&["authorization", "cookie"]),
        to_upstream: names(&["x-user"]),
        to_client: names(&["location"]),
        timeout: Duration::from_secs(1),
        max_size: 1000,
        max_calls: 1,
        open: false,
        cache: Some(AuthzCache {
            ttl: Duration::from_secs(10),
            size: 10,
            regardless_of: regardless_of.to_vec(),
        }),
        tls: StoreTls { ca: None, certificate: None },
    }
}

fn external() -> ExtAuthz {
    let id = PolicyId { scope: Scope::Global, kind: "ext_authz", name: "ext_authz".into() };
    ExtAuthz::new(id, &Arc::new(written(&[])), Arc::default(), 1)
}

fn request(fields: &[(&str, &str)]) -> RequestHead {
    let mut request = RequestHead::default();
    for (name, value) in fields {
        request.fields.push(name.as_bytes(), value.as_bytes());
    }
    request
}

fn key(
    written: &model::ExtAuthz,
    path: &str,
    ip: &str,
    fields: &[(&str, &str)],
) -> Option<question::Key> {
    let client: IpAddr = ip.parse().unwrap();
    let about = About {
        request: &request(fields),
        path: path.as_bytes(),
        secure: false,
        client: Some(client),
    };
    Question::new(written, &about).key
}

#[test]
fn answers_are_remembered_by_all_that_was_asked() {
    let asked = written(&[]);
    let key = |path, ip, fields: &[(&str, &str)]| key(&asked, path, ip, fields).unwrap();
    let one = key("/a", "192.0.2.1", &[("Authorization", "x"), ("Accept", "a")]);
    assert_eq!(one, key("/a", "192.0.2.1", &[("authorization", "x"), ("Accept", "b")]));
    for other in [
        key("/b", "192.0.2.1", &[("authorization", "x")]),
        key("/a", "192.0.2.2", &[("authorization", "x")]),
        key("/a", "192.0.2.1", &[("authorization", "y")]),
        key("/a", "192.0.2.1", &[("cookie", "x")]),
        key("/a", "192.0.2.1", &[]),
        key("/a", "192.0.2.1", &[("authorization", "x"), ("authorization", "x")]),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn what_an_answer_does_not_depend_on_is_left_out() {
    let asked = written(&[AuthzPart::Uri, AuthzPart::Ip]);
    let fields = [("authorization", "x")];
    let one = key(&asked, "/a", "192.0.2.1", &fields);
    assert_eq!(one, key(&asked, "/b", "192.0.2.2", &fields));
    assert_ne!(one, key(&asked, "/a", "192.0.2.1", &[("authorization", "y")]));
    let never = model::ExtAuthz { cache: None, ..asked };
    assert_eq!(key(&never, "/a", "192.0.2.1", &fields), None);
}

#[test]
fn fields_of_the_answer_are_nobody_elses() {
    let asked = written(&[]);
    let mut request = request(&[("X_User", "root"), ("x-user", "root"), ("x-users", "a")]);
    take_out(&asked, &mut request);
    let left: Vec<_> = request.fields.iter().map(|field| field.name.to_vec()).collect();
    assert_eq!(left, [b"x-users"]);
    for (connection, expected) in
        [("close", false), ("keep-alive, X-User", true), ("x_user", true), ("x-users", false)]
    {
        let request = self::request(&[("Connection", connection)]);
        assert_eq!(nominates(&asked, &request), expected, "{connection}");
    }
}

fn replied(status: u16, fields: &[(&str, &str)]) -> Result<(Answer, bool), String> {
    let mut head = ResponseHead::default();
    head.status = status;
    for (name, value) in fields {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    external().read(Replied { head, content: b"no".to_vec() })
}

#[test]
fn answers_are_read_by_their_status() {
    for status in [200, 204, 299] {
        let answer = replied(status, &[("X-User", "ann"), ("X-Other", "x")]).unwrap();
        let (Answer::Pass(told), true) = answer else { panic!("{status}") };
        assert_eq!(told.len(), 1);
    }
    for status in [302, 400, 401, 403, 404, 499] {
        let fields = [("Location", "/"), ("Content-Type", "a/b"), ("X-User", "ann")];
        let (Answer::Deny(denial), true) = replied(status, &fields).unwrap() else {
            panic!("{status}")
        };
        assert_eq!((denial.status, denial.fields.len()), (status, 2));
        assert_eq!(denial.content, b"no");
    }
    for status in [304, 500, 503, 599, 600, 999] {
        assert!(replied(status, &[]).is_err(), "{status}");
    }
}

#[test]
fn what_is_meant_for_one_is_not_remembered() {
    for field in [("Set-Cookie", "a=b"), ("Cache-Control", "private, No-Store")] {
        assert!(!replied(200, &[field]).unwrap().1 && !replied(403, &[field]).unwrap().1);
    }
    assert!(replied(200, &[("Cache-Control", "private")]).unwrap().1);
}

#[test]
fn calls_under_way_are_bounded() {
    let external = external();
    let place = external.place();
    assert!(place.is_some() && external.place().is_none());
    drop(place);
    assert!(external.place().is_some());
}
