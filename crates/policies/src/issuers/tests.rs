//! Issuers over real sockets: a small server that says what it is told to say.

use std::collections::HashMap as Map;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_config::model::{KeyOrigin, StoreTls};
use portcullis_jose::{Algorithm, Algorithms, Signer};
use serde_json::json;

use super::*;

/// What it says, by path: a status and content. Where there is nothing, it says nothing at all.
type Says = Arc<Mutex<Map<String, (u16, String)>>>;

/// A server of an issuer. Its thread ends with the last request that it waits for.
struct Server {
    base: String,
    says: Says,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let says = Says::default();
        let shared = Arc::downgrade(&says);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Some(says) = shared.upgrade() else { return };
                let socket = socket.unwrap();
                thread::spawn(move || answer(&socket, &says));
            }
        });
        Server { base, says }
    }

    fn say(&self, path: &str, status: u16, content: &str) {
        lock(&self.says).insert(path.to_owned(), (status, content.to_owned()));
    }

    fn keys(&self, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.public_jwk()).collect();
        self.say("/keys", 200, &json!({ "keys": keys }).to_string());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Lets the thread see that nobody needs it.
        self.says = Says::default();
        let _ = TcpStream::connect(self.base.trim_start_matches("http://"));
    }
}

fn answer(mut socket: &TcpStream, says: &Says) {
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap().to_owned();
    for line in lines.by_ref() {
        if line.map_or(true, |line| line.is_empty()) {
            break;
        }
    }
    let Some((status, content)) = lock(says).get(&path).cloned() else { return };
    let length = content.len();
    let _ = write!(socket, "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{content}");
}

fn spec(keys: KeyOrigin) -> model::Issuer {
    model::Issuer {
        name: "main".into(),
        issuer: "https://issuer/".into(),
        keys,
        algorithms: Algorithms::asymmetric(),
        refresh: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        max_size: 65536,
        max_keys: 100,
        tls: StoreTls { ca: None, certificate: None },
    }
}

fn address(url: String) -> KeyOrigin {
    KeyOrigin::Address(url.parse().unwrap())
}

/// Takes a configuration with this issuer alone into use.
fn put(issuers: &Issuers, spec: model::Issuer, folder: Option<&Path>) -> Arc<Issuer> {
    let name = spec.name.clone();
    let prepared = issuers.prepare(&[(name.clone(), Arc::new(spec))].into()).unwrap();
    issuers.keep_in(folder.map(Path::to_owned));
    issuers.commit(prepared);
    issuers.find(&name).unwrap()
}

/// Waits until something has come to be.
fn until(mut what: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(Instant::now() < end, "it does not come to be");
        thread::sleep(Duration::from_millis(5));
    }
}

fn names(issuer: &Issuer) -> Vec<String> {
    let view = issuer.view();
    let keys = view.set.iter().flat_map(|set| set.keys());
    keys.map(|key| key.kid().unwrap().to_owned()).collect()
}

fn kid(signer: &Signer) -> Vec<String> {
    vec![signer.kid().unwrap().to_owned()]
}

fn signer() -> Signer {
    Signer::generate(Algorithm::EdDsa).unwrap()
}

#[test]
fn keys_are_fetched_and_stay_until_there_are_others() {
    let (server, issuers) = (Server::start(), Issuers::default());
    let (first, second) = (signer(), signer());
    server.keys(&[&first]);
    let issuer = put(&issuers, spec(address(format!("{}/keys", server.base))), None);
    until(|| names(&issuer) == kid(&first));
    let generation = issuer.generation();
    let fetches = issuer.fetches().0;
    until(|| issuer.fetches().0 > fetches + 1);
    assert_eq!(issuer.generation(), generation, "the same keys are the same generation");
    // Whatever the server says that is no set of keys changes nothing.
    for (status, content) in
        [(500, "{}"), (200, "{"), (200, "{\"keys\":[]}"), (302, ""), (204, ""), (200, "[]")]
    {
        let failures = issuer.fetches().1;
        server.say("/keys", status, content);
        until(|| issuer.fetches().1 > failures);
        assert_eq!(issuer.generation(), generation, "{status} {content}");
    }
    server.keys(&[&second]);
    until(|| names(&issuer) == kid(&second));
    assert!(issuer.generation() > generation && issuer.fetched().is_some());
}

#[test]
fn metadata_lead_to_the_keys_if_they_are_the_issuers_own() {
    let (server, issuers) = (Server::start(), Issuers::default());
    let signer = signer();
    server.keys(&[&signer]);
    let keys = format!("{}/keys", server.base);
    let metadata = |issuer: &str, keys: &str| {
        let content = json!({"issuer": issuer, "jwks_uri": keys}).to_string();
        server.say("/metadata", 200, &content);
    };
    metadata("https://issuer", &keys);
    let url = format!("{}/metadata", server.base).parse().unwrap();
    let issuer = put(&issuers, spec(KeyOrigin::Discovery(url)), None);
    until(|| issuer.fetches().1 > 0);
    assert!(!issuer.has_keys(), "a slash less is another issuer");
    for odd in ["", "file:///etc/passwd", "/keys", "https://user@host/"] {
        metadata("https://issuer/", odd);
        let failures = issuer.fetches().1;
        until(|| issuer.fetches().1 > failures);
        assert!(!issuer.has_keys(), "{odd}");
    }
    metadata("https://issuer/", &keys);
    until(|| names(&issuer) == kid(&signer));
}

#[test]
fn the_last_good_keys_are_there_after_a_restart() {
    let folder = std::env::temp_dir().join(format!(
        "portcullis-issuers-{}-{:x}",
        std::process::id(),
        fastrand::u64(..)
    ));
    let server = Server::start();
    let signer = signer();
    server.keys(&[&signer]);
    let origin = address(format!("{}/keys", server.base));
    let before = Issuers::default();
    let issuer = put(&before, spec(origin.clone()), Some(&folder));
    until(|| issuer.fetches().0 > 0);
    drop(before);
    server.say("/keys", 503, "");
    let after = Issuers::default();
    let issuer = put(&after, spec(origin), Some(&folder));
    until(|| names(&issuer) == kid(&signer));
    let elsewhere = put(&Issuers::default(), spec(address("http://127.0.0.1:1/".into())), None);
    assert!(!elsewhere.has_keys());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn who_asks_can_wait_for_the_first_keys_and_not_again_soon() {
    let (server, issuers) = (Server::start(), Issuers::default());
    let signer = signer();
    server.keys(&[&signer]);
    let slow = model::Issuer {
        refresh: Duration::from_secs(3600),
        ..spec(address(format!("{}/keys", server.base)))
    };
    let issuer = put(&issuers, slow, None);
    // Either the first fetch is still to end, or it has.
    if let Some(round) = issuer.ask() {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(round.ended(Duration::from_secs(20)));
    }
    until(|| issuer.has_keys());
    until(|| issuer.ask().is_none());
    assert_eq!(issuer.fetches(), (1, 0));
}

#[test]
fn too_much_is_not_read() {
    let (server, issuers) = (Server::start(), Issuers::default());
    server.say("/keys", 200, &format!("{{\"keys\":[]{}}}", " ".repeat(70_000)));
    let issuer = put(&issuers, spec(address(format!("{}/keys", server.base))), None);
    until(|| issuer.fetches().1 > 0);
    assert!(!issuer.has_keys());
}

#[test]
fn a_change_keeps_keys_only_if_they_come_from_the_same_place() {
    let (server, issuers) = (Server::start(), Issuers::default());
    let signer = signer();
    server.keys(&[&signer]);
    let origin = address(format!("{}/keys", server.base));
    let issuer = put(&issuers, spec(origin.clone()), None);
    until(|| issuer.has_keys());
    let slower = model::Issuer { refresh: Duration::from_secs(60), ..spec(origin) };
    put(&issuers, slower.clone(), None);
    assert!(issuer.has_keys() && issuer.view().set.is_some());
    assert_eq!(issuer.view().spec.refresh, Duration::from_secs(60));
    let (generation, other) =
        (issuer.generation(), model::Issuer { issuer: "https://other/".into(), ..slower });
    server.say("/keys", 500, "");
    let prepared = issuers.prepare(&[("main".into(), Arc::new(other))].into()).unwrap();
    assert_eq!(issuer.generation(), generation, "nothing changes before");
    issuers.commit(prepared);
    assert!(!issuer.has_keys() && issuer.view().set.is_none());
    assert!(issuer.generation() > generation);
    issuers.commit(Prepared::default());
    assert!(issuers.all().is_empty());
}

#[test]
fn keys_in_the_configuration_are_there_at_once() {
    let issuers = Issuers::default();
    let set = json!({"keys": [signer().public_jwk()]}).to_string();
    let issuer = put(&issuers, spec(KeyOrigin::Set(set.as_bytes().into())), None);
    assert!(issuer.has_keys() && issuer.ask().is_none());
    for (keys, why) in [
        (KeyOrigin::Set(Arc::from(&b"{}"[..])), "no set of keys"),
        (KeyOrigin::Set(Arc::from(&b"{\"keys\":[]}"[..])), "none of its keys"),
        (KeyOrigin::Pem(Arc::from(&b"x"[..])), "PEM"),
        (KeyOrigin::Secret(model::Secret::new("short")), "too few"),
    ] {
        let specs = [("main".into(), Arc::new(spec(keys)))].into();
        let error = issuers.prepare(&specs).unwrap_err().remove(0).to_string();
        assert!(error.contains(why) && !error.contains("short"), "{error}");
    }
}
