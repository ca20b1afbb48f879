//! Names and passwords: verified by others than the workers, and remembered for a while.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, eventually};

/// Of `password`; from the tests of Argon2's authors.
const ARGON2: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
/// Of `secret`; made by the crypt of a C library.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn login(client: &mut Client, login: &str) -> Reply {
    super::ask(client, &format!("Authorization: Basic {}\r\n", STANDARD.encode(login)))
}

fn config(origin: &Origin, more: &str) -> Config {
    Config::before(origin)
        .route("policies: [basic: { realm: shop }]")
        // In quotes that leave `$` alone.
        .also(&format!(
            "consumers:\n  ann: {{ basic: {{ hash: '{}' }} }}\n  \
             bob: {{ basic: {{ username: robert, hash: '{}' }} }}",
            ARGON2, BCRYPT,
        ))
        .also(&format!("credentials: {{ guessing: off{more} }}"))
}

#[test]
fn passwords_let_their_consumers_in() {
    let origin = Origin::echo();
    for memory in ["", ", passwords: { cache: 0, threads: 2 }"] {
        let gateway = Gateway::start(&config(&origin, memory));
        let mut client = gateway.client();
        let refused = super::ask(&mut client, "");
        let told = "Basic realm=\"shop\", charset=\"UTF-8\"";
        assert_eq!((refused.status, refused.field("www-authenticate")), (401, Some(told)));
        for _ in 0..3 {
            assert_eq!(login(&mut client, "ann:password").status, 200);
            assert_eq!(login(&mut client, "robert:secret").status, 200);
        }
        assert_eq!(origin.last_request().field("authorization"), None);
        for wrong in ["ann:secret", "robert:password", "bob:secret", "ann:", ":password", "ann"] {
            assert_eq!(login(&mut client, wrong).status, 401, "{wrong}");
        }
        let long = format!("robert:{}", "x".repeat(73));
        assert_eq!(login(&mut client, &long).status, 401);
        let accepted = "kind=\"basic\",outcome=\"accepted\"";
        assert_eq!(gateway.metric("portcullis_authentication_total", accepted), 6.0);
        let lines = || gateway.logged_requests();
        assert!(eventually(|| lines().iter().any(|line| line["credential"] == "robert")));
        let all = format!("{:?}", lines());
        assert!(!all.contains("secret") && !all.contains(&STANDARD.encode("ann:password")));
    }
}

#[test]
fn what_is_no_login_is_401_whatever_it_is() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&config(&origin, ""));
    let good = STANDARD.encode("ann:password");
    let bad = STANDARD.encode(b"\xff\xfe:x");
    for value in [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!".to_owned(),
        format!("Basic {good}="),
        format!("Basic {bad}"),
        format!("Basic {}", "QUFB".repeat(3000)),
        format!("Basic {good}\r\nAuthorization: Basic {}", STANDARD.encode("robert:secret")),
        format!("Basic {good} {good}"),
        format!("Bearer {good}"),
    ] {
        let mut client = gateway.client();
        let reply = super::ask(&mut client, &format!("Authorization: {value}\r\n"));
        assert_eq!(reply.status, 401, "{value}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_changed_password_holds_at_once() {
    let origin = Origin::echo();
    let before = config(&origin, "");
    let gateway = Gateway::start(&before);
    let mut client = gateway.client();
    assert_eq!(login(&mut client, "ann:password").status, 200);
    gateway.write_config(&before.to_string().replace(ARGON2, BCRYPT));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(login(&mut client, "ann:password").status, 401);
    assert_eq!(login(&mut client, "ann:secret").status, 200);
}

#[test]
fn requests_beyond_the_line_are_503_and_others_go_on() {
    let origin = Origin::echo();
    // Slow enough that the second comes while the first is verified.
    let slow = ARGON2.replace("m=256,t=2", "m=65536,t=20");
    let config =
        config(&origin, ", passwords: { queue: 0, cache: 0 }").also("# a route without any\n");
    let config = config
        .to_string()
        .replace(ARGON2, &slow)
        .replace("routes:\n", "routes:\n  open: { match: { path: /open }, service: origin }\n");
    let gateway = Gateway::start(&config);
    let mut waiting: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    let request = format!(
        "GET /x HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic {}\r\n\r\n",
        STANDARD.encode("ann:password")
    );
    waiting.iter_mut().for_each(|client| client.send(&request));
    // No worker waits for a password.
    assert_eq!(gateway.get("/open").status, 200);
    let statuses: Vec<u16> = waiting.iter_mut().map(|client| client.reply().status).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 503].contains(status)), "{statuses:?}");
}
