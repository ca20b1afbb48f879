//! Overlaps, through the loader: what is reported, what is not, and that keeping the index up to date
//! gives what building it anew gives.

use crate::load::{Format, Loader};

fn said(routes: &[&str]) -> Vec<String> {
    let report = match loader(routes).load() {
        Ok(loaded) => loaded.warnings,
        Err(report) => report,
    };
    report
        .faults()
        .iter()
        .map(|fault| {
            let lines: Vec<String> =
                fault.places.iter().map(|place| place.line.to_string()).collect();
            format!("{} @{}", fault.message, lines.join(","))
        })
        .collect()
}

fn text(routes: &[&str]) -> String {
    let mut text = String::from(
        "listeners: { web: { address: \"127.0.0.1:0\" }, side: { address: \"127.0.0.1:0\" } }\nroutes:\n",
    );
    for route in routes {
        let (name, matches) = route.split_once(' ').unwrap();
        let (matches, priority) = matches.split_once(" ^").unwrap_or((matches, "0"));
        text +=
            &format!("  {name}: {{ match: {{ {matches} }}, priority: {priority}, reply: {{}} }}\n");
    }
    text
}

fn loader(routes: &[&str]) -> Loader {
    Loader::from_text("t.yaml", text(routes), Format::Yaml)
}

#[test]
fn the_same_twice_is_a_conflict() {
    assert_eq!(
        said(&["a path: \"/x/{id}\"", "b path: [\"/y\", \"/x/{other}\"]"]),
        ["the routes `a` and `b` take the same requests: `/x/{}` @4,3"]
    );
    assert_eq!(
        said(&["a path: \"/x/{*r}\", host: E.com", "b path: { prefix: /x }, host: e.com"]),
        ["the routes `a` and `b` take the same requests: `/x` and below on `e.com` @4,3"]
    );
    let a = "a headers: { x: \"1\", y: \"2\" }, methods: [PUT, POST]";
    let b = "b headers: { Y: \"2\", X: \"1\" }, methods: [POST, PUT]";
    assert_eq!(said(&[a, b]).len(), 1);
    let (a, b) = ("a listener: [web, side]", "b listener: [side, web, side]");
    assert_eq!(said(&[a, b]), ["the routes `a` and `b` take the same requests: any path @4,3"]);
    assert_eq!(said(&["a path: { regex: \"/x.*\" }", "b path: { regex: \"/x.*\" }"]).len(), 1);
}

#[test]
fn what_differs_is_no_conflict() {
    for (a, b) in [
        ("a path: /x", "b path: /x/"),
        ("a path: /x, methods: GET", "b path: /x, methods: POST"),
        ("a path: /x, methods: GET", "b path: /x"),
        ("a path: /x, headers: { x: \"1\" }", "b path: /x, headers: { x: \"2\" }"),
        ("a path: /x, host: a.com", "b path: /x, host: b.com"),
        ("a path: /x, host: \"*.a.com\"", "b path: /x, host: a.com"),
        ("a path: \"/{id}\"", "b path: \"/x\""),
        ("a path: \"/{*r}\"", "b path: \"/{id}\""),
        ("a path: /x, listener: web", "b path: /x, listener: side"),
        ("a path: /x, listener: web", "b path: /x"),
        ("a path: /x, query: { x: \"1\" }", "b path: /x, cookies: { x: \"1\" }"),
    ] {
        assert_eq!(said(&[a, b]), Vec::<String>::new(), "{a} {b}");
    }
}

#[test]
fn covered_by_higher_priority_is_shadowed() {
    for (cover, covered) in [
        ("c path: \"/{*r}\" ^1", "r path: \"/a/b\""),
        ("c path: { prefix: /a } ^1", "r path: \"/a\""),
        ("c path: { prefix: /a } ^1", "r path: \"/a/\""),
        ("c path: { prefix: /a } ^1", "r path: \"/a/{x}/{*r}\", methods: PUT"),
        ("c path: \"/a/{x}\" ^1", "r path: [\"/a/b\", \"/a/c\"]"),
        ("c path: \"/a\" ^1", "r path: \"/a\", host: x.com"),
        ("c host: \"*.x.com\" ^1", "r host: [a.x.com, \"*.b.x.com\", \"*.x.com\"]"),
        ("c host: x.com ^1", "r path: { regex: \"/a.*\" }, host: x.com"),
        ("c headers: { a: { present: true } } ^1", "r headers: { a: \"1\", b: \"2\" }"),
        ("c headers: { a: { regex: \"[0-9]+\" } } ^1", "r headers: { a: \"12\" }"),
        ("c client: 10.0.0.0/8 ^1", "r client: [10.1.0.0/16, 10.2.0.1]"),
        ("c methods: [GET, POST] ^1", "r methods: [POST]"),
        ("c listener: [web, side] ^1", "r listener: web, path: /a"),
        ("c path: { prefix: /a } ^1", "r listener: web, path: /a"),
    ] {
        assert_eq!(
            said(&[cover, covered]),
            ["the route `r` never takes a request @4,3"],
            "{cover} {covered}"
        );
    }
}

#[test]
fn never_a_false_warning() {
    for (other, route) in [
        ("c path: \"/a/{x}\" ^1", "r path: \"/a/\""),
        ("c path: \"/a/{x}\" ^1", "r path: \"/a\""),
        ("c path: \"/a/{x}\" ^1", "r path: { prefix: /a/b }"),
        ("c path: \"/a/b\" ^1", "r path: \"/a/{x}\""),
        ("c path: \"/a\" ^1", "r path: [\"/a\", \"/b\"]"),
        ("c path: \"/a\", host: x.com ^1", "r path: \"/a\""),
        ("c host: \"*.x.com\" ^1", "r host: x.com"),
        ("c host: \"*.a.x.com\" ^1", "r host: \"*.x.com\""),
        ("c path: { prefix: /a } ^1", "r path: /ab"),
        ("c path: { regex: \"/.*\" } ^1", "r path: { regex: \"/a.*\" }"),
        ("c headers: { a: \"1\" } ^1", "r headers: { a: { present: true } }"),
        ("c headers: { a: { regex: \"[0-9]\" } } ^1", "r headers: { a: \"12\" }"),
        ("c client: 10.1.0.0/16 ^1", "r client: 10.0.0.0/8"),
        ("c client: 10.1.0.0/16 ^1", "r path: /"),
        ("c methods: [GET] ^1", "r methods: [GET, POST]"),
        ("c methods: [GET] ^1", "r path: /"),
        ("c listener: web ^1", "r listener: side"),
        ("c listener: web ^1", "r listener: [side, web]"),
        ("c listener: web ^1", "r path: /"),
        // At one priority the broader comes later.
        ("c path: \"/{*r}\"", "r path: \"/a\""),
        ("c path: \"/a\"", "r path: \"/a\", headers: { a: \"1\" }"),
    ] {
        assert_eq!(said(&[other, route]), Vec::<String>::new(), "{other} {route}");
    }
}

#[test]
fn at_one_priority_the_name_decides() {
    let wide = "methods: [GET, POST]";
    assert_eq!(
        said(&[&format!("a {wide}"), "b methods: [POST]"]),
        ["the route `b` never takes a request @4,3"]
    );
    assert_eq!(said(&[&format!("b {wide}"), "a methods: [POST]"]), Vec::<String>::new());
}

#[test]
fn several_routes_may_cover_one() {
    let routes = ["a path: /a ^1", "b path: /b ^1", "r path: [/a, /b]"];
    assert_eq!(said(&routes), ["the route `r` never takes a request @5,3"]);
}

#[test]
fn kept_up_to_date_as_if_built_anew() {
    let all = [
        "a path: \"/{*r}\" ^1",
        "b path: /x/y",
        "c path: \"/x/{p}\"",
        "d path: \"/x/{q}\" ^2",
        "e path: /x/y, methods: PUT",
        "f host: \"*.x.com\" ^3",
        "g host: a.x.com",
        "h path: /x/y ^2",
        "i path: \"/x/{q}\", methods: PUT ^1",
        "j path: /x/y, headers: { a: \"1\" }",
        "k path: /x/y, listener: web ^1",
        "l path: /x/y, listener: [web, side] ^1",
    ];
    let mut kept = loader(&all[..1]);
    let mut seed = 7_u32;
    for _ in 0..300 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mask = seed >> 16;
        let some: Vec<&str> =
            all.iter().enumerate().filter(|(i, _)| mask & (1 << i) != 0).map(|(_, r)| *r).collect();
        if some.is_empty() {
            continue;
        }
        kept.set_text(text(&some));
        let faults = match kept.load() {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        let anew = match loader(&some).load() {
            Ok(loaded) => loaded.warnings,
            Err(report) => report,
        };
        assert_eq!(faults.render(false), anew.render(false));
    }
}
