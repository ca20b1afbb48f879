//! Which socket goes where: every kind of listener, and configurations that differ.

use std::net::SocketAddr;

use portcullis_testkit::{
    Authority, Client, Config, Load, Origin, Starting, TempDir, eventually, signal,
};

use super::assert_whole;

#[test]
fn the_number_of_workers_may_change() {
    let origin = Origin::echo();
    let with = |workers| Config::before(&origin).also(&format!("workers: {workers}"));
    let gateway = Starting::new(&with(1)).replaceable().start();
    let kept = Load::start(gateway.address(), "/", 4);
    let anew = Load::start_anew(gateway.address(), "/", 4);
    for workers in [4, 2, 3, 1, 5, 5] {
        gateway.write_config(&with(workers));
        gateway.upgrade();
        // More than there are sockets, so that each of them gets some.
        anew.wait_for_more(100);
        kept.wait_for_more(20);
    }
    assert_whole(kept);
    assert_whole(anew);
}

#[test]
fn unix_listeners_go_on_and_their_path_belongs_to_the_last() {
    let dir = TempDir::new();
    let path = dir.join("gateway.sock");
    let origin = Origin::echo();
    let config =
        Config::before(&origin).address(&format!("unix:{}", path.display())).also("workers: 2");
    let gateway = Starting::new(&config).replaceable().start();
    let load = {
        let path = path.clone();
        let connect = move || Client::try_unix(&path);
        Load::through(connect, "/", 4, 3)
    };
    let mut last = 0;
    for number in 1..=5 {
        load.wait_for_more(40);
        last = gateway.upgrade();
        assert!(eventually(|| gateway.stopped() == number));
        assert!(path.exists());
    }
    load.wait_for_more(40);
    assert_whole(load);
    signal(last, "TERM");
    assert!(eventually(|| !path.exists()));
}

#[test]
fn tls_listeners_go_on() {
    let dir = TempDir::new();
    let authority = Authority::new();
    let (chain, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .listener(&format!("tls: {{ certificates: [{{ cert: {chain:?}, key: {key:?} }}] }}"));
    let gateway = Starting::new(&config.also("workers: 2")).replaceable().start();
    let address = gateway.address();
    let tls = authority.client("a.example");
    let load = Load::through(move || Client::tls(address, &tls), "/", 4, 3);
    for _ in 0..4 {
        load.wait_for_more(40);
        gateway.upgrade();
    }
    load.wait_for_more(40);
    assert_whole(load);
}

fn listeners(origin: &Origin, listeners: &str) -> String {
    let config = Config::before(origin).also("workers: 2").to_string();
    let (_, rest) = config.split_once("services:").unwrap();
    format!("listeners: {listeners}\nservices:{rest}")
}

#[test]
fn a_listener_that_is_gone_closes_softly_and_a_new_one_opens() {
    let origin = Origin::echo();
    let both = "{ web: { address: \"127.0.0.1:0\" }, old: { address: \"127.0.0.1:0\" } }";
    let gateway = Starting::new(&listeners(&origin, both)).replaceable().start();
    let (web, old) = (gateway.address(), gateway.address_of("old"));
    let staying = Load::start_anew(web, "/", 2);
    let kept = Load::start(old, "/", 2);
    let leaving = Load::start_anew(old, "/", 2);
    leaving.wait_for_more(40);
    let next = "{ web: { address: \"127.0.0.1:0\" }, new: { address: \"127.0.0.1:0\" } }";
    gateway.write_config(&listeners(&origin, next));
    gateway.upgrade();
    let new: SocketAddr = gateway.address_of("new");
    assert_eq!(Client::connect(new).get("/").status, 200);
    for gone in [kept.finished(), leaving.finished()] {
        assert!(gone.failed.is_empty(), "{:#?} of {}", gone.failed, gone.answered);
        assert_eq!(gone.refused, 2, "they found nobody when they came back");
    }
    staying.wait_for_more(40);
    assert_whole(staying);
    assert!(eventually(|| Client::try_connect(old).is_err()));
}

/// A free port; somebody else may take it, so a test that uses it tries again.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_listener_may_get_another_name() {
    let origin = Origin::echo();
    let port = free_port();
    let named = |name: &str| {
        listeners(&origin, &format!("{{ {name}: {{ address: \"127.0.0.1:{port}\" }} }}"))
    };
    let gateway = Starting::new(&named("web")).replaceable().start();
    let load = Load::start_anew(gateway.address(), "/", 4);
    for name in ["a", "b", "web"] {
        load.wait_for_more(40);
        gateway.write_config(&named(name));
        gateway.upgrade();
    }
    load.wait_for_more(40);
    assert_whole(load);
}

#[test]
fn an_address_may_become_wider() {
    let origin = Origin::echo();
    let port = free_port();
    let at = |ip: &str| listeners(&origin, &format!("{{ web: {{ address: \"{ip}:{port}\" }} }}"));
    let gateway = Starting::new(&at("127.0.0.1")).replaceable().start();
    gateway.write_config(&at("0.0.0.0"));
    gateway.upgrade();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    assert!(eventually(|| gateway.stopped() == 1));
    assert_eq!(Client::connect(address).get("/").status, 200);
}

#[test]
fn the_admin_listener_may_move() {
    let origin = Origin::echo();
    let gateway = Starting::new(&Config::before(&origin)).replaceable().start();
    let old = gateway.admin_address();
    let port = free_port();
    gateway.write_config(
        &Config::before(&origin).also(&format!("admin: {{ address: \"127.0.0.1:{port}\" }}")),
    );
    gateway.upgrade();
    let ready = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let new = SocketAddr::from(([127, 0, 0, 1], port));
    assert_eq!(Client::connect(new).ask(ready).status, 200);
    assert!(eventually(|| Client::try_connect(old).is_err()));
}
