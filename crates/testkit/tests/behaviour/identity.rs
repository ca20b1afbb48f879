//! Who calls: what a request must show, what clients are told who do not, what services see.

mod combined;
mod introspection;
mod passwords;
mod stored;
mod tokens;

use portcullis_policies::consumers::key::{KeyHasher, draw_key, prefix};
use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, eventually, run_command};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const CREDENTIALS: &str = "credentials: { secret: 0123456789abcdef0123456789abcdef }";

/// A new key, and what the configuration says of it.
fn key() -> (String, String) {
    let key = draw_key().unwrap();
    let shown = prefix(key.as_bytes()).unwrap();
    let shown = std::str::from_utf8(&shown).unwrap();
    let hash = KeyHasher::new(SECRET.as_bytes()).hash(key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (key.clone(), format!("prefix: {shown}, hash: \"{hash}\""))
}

/// A gateway that wants a key of the consumer `shop`.
fn with_key(origin: &Origin, method: &str, kept: &str) -> Gateway {
    let consumers = format!("consumers: {{ shop: {{ keys: [{{ {kept} }}] }} }}");
    let config = Config::before(origin).route(&format!("policies: [{method}]"));
    Gateway::start(&config.also(CREDENTIALS).also(&consumers))
}

fn ask(client: &mut Client, fields: &str) -> Reply {
    client.ask(format!("GET /x HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"))
}

#[test]
fn a_key_lets_its_consumer_in_and_is_hidden_from_the_service() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let gateway = with_key(&origin, "api_key: {}", &kept);
    let mut client = gateway.client();

    let refused = ask(&mut client, "");
    assert_eq!(refused.status, 401);
    assert_eq!(refused.field("www-authenticate"), Some("ApiKey realm=\"portcullis\""));
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    assert!(refused.text().contains("\"code\":\"unauthenticated\""), "{}", refused.text());
    assert!(!refused.closes());
    assert!(origin.requests().is_empty());

    assert_eq!(ask(&mut client, &format!("X-API-Key: {key}\r\nX-Other: a\r\n")).status, 200);
    let seen = origin.last_request();
    assert_eq!((seen.field("x-api-key"), seen.field("x-other")), (None, Some("a")));

    let other = draw_key().unwrap();
    let unknown = ask(&mut client, &format!("X-API-Key: {other}\r\n"));
    assert_eq!(unknown.status, 401);
    assert!(unknown.text().contains("\"code\":\"bad_credentials\""), "{}", unknown.text());

    let lines = || gateway.logged_requests();
    assert!(eventually(|| lines().len() == 3));
    let lines = lines();
    assert_eq!((lines[0].get("consumer"), &lines[0]["error"]), (None, &"unauthenticated".into()));
    assert_eq!((&lines[1]["consumer"], &lines[1]["auth"]), (&"shop".into(), &"api_key".into()));
    assert_eq!(lines[1]["credential"], key[..11]);
    assert_eq!(lines[2]["detail"], "api_key: no such key");
    let all = format!("{lines:?}{}", gateway.log());
    assert!(!all.contains(&key[12..]) && !all.contains(&other[12..]));
    let counted = |outcome: &str| {
        let labels = format!("kind=\"api_key\",outcome=\"{outcome}\"");
        gateway.metric("portcullis_authentication_total", &labels)
    };
    assert_eq!((counted("accepted"), counted("missing"), counted("refused")), (1.0, 1.0, 1.0));
}

#[test]
fn keys_come_from_fields_queries_and_cookies() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let method = "api_key: { header: [x-key, Authorization], scheme: Bearer, query: key, \
                  cookie: k, realm: api }";
    let gateway = with_key(&origin, method, &kept);
    let mut client = gateway.client();
    for field in [
        format!("X-Key: {key}"),
        format!("Authorization: bearer {key}"),
        format!("Cookie: a=b; k={key}; c=d"),
    ] {
        assert_eq!(ask(&mut client, &format!("{field}\r\n")).status, 200, "{field}");
        let seen = origin.last_request();
        let head = String::from_utf8_lossy(&seen.head);
        assert!(!head.contains(&key), "{head}");
    }
    assert_eq!(origin.last_request().field("cookie"), Some("a=b; c=d"));
    assert_eq!(client.get(&format!("/x?a=1&%6bey={key}&b=2")).status, 200);
    assert_eq!(origin.last_request().target, "/x?a=1&b=2");
    assert_eq!(client.get(&format!("/x?key={key}")).status, 200);
    assert_eq!(origin.last_request().target, "/x");
    // Another scheme is not ours, so it is neither looked at nor hidden.
    let other = ask(&mut client, &format!("Authorization: Basic eA==\r\nX-Key: {key}\r\n"));
    assert_eq!(other.status, 200);
    assert_eq!(origin.last_request().field("authorization"), Some("Basic eA=="));
    assert_eq!(ask(&mut client, "").field("www-authenticate"), Some("Bearer realm=\"api\""));
    let bad = ask(&mut client, "X-Key: x\r\n");
    let told = "Bearer realm=\"api\", error=\"invalid_token\"";
    assert_eq!(bad.field("www-authenticate"), Some(told));
}

#[test]
fn what_is_no_key_is_401_whatever_it_is() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let (another, _) = self::key();
    let gateway = with_key(&origin, "api_key: { query: key, header: x-key }", &kept);
    let mut wrong = key.clone().into_bytes();
    wrong[20] ^= 1;
    let wrong = String::from_utf8(wrong).unwrap();
    let long = "x".repeat(9000);
    for field in [
        String::new(),
        "pk_".to_owned(),
        wrong,
        key[..49].to_owned(),
        format!("{key}{key}"),
        format!("{key}\u{e9}"),
        long,
        format!("{key}\r\nX-Key: {another}"),
        format!("{key}, {key}"),
    ] {
        let mut client = gateway.client();
        let request = format!("GET /x HTTP/1.1\r\nHost: a.example\r\nX-Key: {field}\r\n\r\n");
        let reply = client.ask(request);
        assert_eq!(reply.status, 401, "{field}");
    }
    // Two places, two keys.
    let mut client = gateway.client();
    let two = format!("GET /x?key={another} HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n");
    assert_eq!(client.ask(two).status, 401);
    assert!(origin.requests().is_empty());
    // The same key twice can be read in one way only.
    let same = format!("GET /x?key={key} HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n");
    assert_eq!(client.ask(same).status, 200);
}

#[test]
fn keys_expire_and_can_be_rotated() {
    let origin = Origin::echo();
    let ((old, old_kept), (new, new_kept), (gone, gone_kept)) = (key(), key(), key());
    let config = |keys: &str| {
        let consumers = format!("consumers: {{ shop: {{ keys: [{keys}] }} }}");
        let config = Config::before(&origin).route("policies: [api_key: {}]");
        config.also(CREDENTIALS).also(&consumers)
    };
    let both = format!(
        "{{ {old_kept} }}, {{ {new_kept}, expires: 2999-01-01 }}, \
         {{ {gone_kept}, expires: 2001-01-01 }}"
    );
    let gateway = Gateway::start(&config(&both));
    let status = |key: &str| ask(&mut gateway.client(), &format!("X-API-Key: {key}\r\n")).status;
    assert_eq!((status(&old), status(&new), status(&gone)), (200, 200, 401));
    gateway.write_config(&config(&format!("{{ {new_kept} }}")));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!((status(&old), status(&new)), (401, 200));
}

#[test]
fn whoever_guesses_is_slowed_down_and_a_reload_does_not_forget() {
    let origin = Origin::echo();
    let (key, kept) = key();
    let consumers = format!("consumers: {{ shop: {{ keys: [{{ {kept} }}] }} }}");
    let guessing = "credentials: { secret: 0123456789abcdef0123456789abcdef, \
                    guessing: { failures: 3, per: 1h } }";
    let config = Config::before(&origin)
        .route("policies: [api_key: {}]")
        .listener("forwarded: { hops: 1 }")
        .also(guessing)
        .also(&consumers);
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let mut from = |address: &str, key: &str| {
        ask(&mut client, &format!("X-Forwarded-For: {address}\r\nX-API-Key: {key}\r\n"))
    };
    for _ in 0..3 {
        assert_eq!(from("192.0.2.1", "guess").status, 401);
    }
    let slowed = from("192.0.2.1", &key);
    assert_eq!(slowed.status, 429);
    assert!(slowed.text().contains("\"code\":\"guessing\""), "{}", slowed.text());
    let retry: u64 = slowed.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=1200).contains(&retry), "{retry}");
    assert_eq!(from("192.0.2.2", &key).status, 200);
    gateway.write_config(&config.clone().also("metrics: true"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(from("192.0.2.1", &key).status, 429);
}

#[test]
fn limits_count_by_consumer_and_come_from_plans_groups_and_consumers() {
    let origin = Origin::echo();
    let ((one, one_kept), (two, two_kept), (three, three_kept)) = (key(), key(), key());
    let config = Config::before(&origin)
        .route("policies: [api_key: {}, rate_limit: { name: calls, limit: 100, per: 1h }]")
        .also(CREDENTIALS)
        .also("plans: { small: { policies: [rate_limit: { name: calls, limit: 2, per: 1h }] } }")
        .also("groups: { all: { policies: [rate_limit: { name: calls, limit: 50, per: 1h }] } }")
        .also(&format!(
            "consumers:\n  one: {{ plan: small, groups: [all], keys: [{{ {one_kept} }}] }}\n  \
             two: {{ plan: small, keys: [{{ {two_kept} }}] }}\n  \
             three: {{ plan: small, groups: [all], keys: [{{ {three_kept} }}], \
             policies: [rate_limit: {{ name: calls, limit: 5, per: 1h }}] }}"
        ));
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let mut told = |key: &str| {
        let reply = ask(&mut client, &format!("X-API-Key: {key}\r\n"));
        (reply.status, reply.field("ratelimit-policy").unwrap_or_default().to_owned())
    };
    // The plan's replaces the group's and the route's, and counts every consumer for itself.
    let small = "\"calls\";q=2;w=3600".to_owned();
    assert_eq!(told(&one), (200, small.clone()));
    assert_eq!(told(&one), (200, small.clone()));
    assert_eq!(told(&one).0, 429);
    assert_eq!(told(&two), (200, small));
    assert_eq!(told(&three), (200, "\"calls\";q=5;w=3600".to_owned()));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(told(&one).0, 429);
}

#[test]
fn explain_tells_who_calls() {
    let dir = portcullis_testkit::TempDir::new();
    let (key, kept) = key();
    let config = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n{CREDENTIALS}\n\
         plans: {{ gold: {{ policies: [rate_limit: {{ limit: 5, per: 1m }}] }} }}\n\
         consumers: {{ shop: {{ plan: gold, keys: [{{ {kept} }}] }} }}\n\
         routes: {{ r: {{ reply: {{ status: 204 }}, policies: [api_key: {{}}] }} }}\n"
    );
    dir.write("gateway.yaml", config);
    let explain = |field: &str| {
        let arguments = ["explain", "--config", "gateway.yaml", "-H", field, "GET", "/x"];
        let output = run_command(&arguments, dir.path());
        String::from_utf8(output.stdout).unwrap()
    };
    let told = explain(&format!("x-api-key: {key}"));
    assert!(
        told.contains(&format!("consumer shop, by api_key {}, plan gold", &key[..11])),
        "{told}"
    );
    assert!(told.contains("rate_limit rate_limit, plan/gold"), "{told}");
    assert!(told.contains("by consumer = shop"), "{told}");
    assert!(!told.contains(&key[12..]), "{told}");
    let refused = explain("x-api-key: nonsense");
    assert!(refused.contains("401 bad_credentials"), "{refused}");
    assert!(refused.contains("asked for: api_key in header x-api-key, else 401"), "{refused}");
}
