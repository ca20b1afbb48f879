//! IPv6 and Unix domain sockets, on either side.

use std::process::{Command, Stdio};

use portcullis_testkit::{
    Client, Config, Gateway, Origin, Place, TempDir, binary, eventually, until,
};

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";

#[test]
fn ipv6_on_both_sides() {
    let origin = Origin::at(&Place::Tcp("[::1]:0".parse().unwrap()), |served| served.echo());
    let gateway = Gateway::start(&Config::before(&origin).address("[::1]:0"));
    assert!(gateway.address().is_ipv6());
    assert_eq!(gateway.get("/x").status, 200);
    assert_eq!(origin.last_request().field("x-forwarded-for"), Some("::1"));
    assert_eq!(gateway.logged_request("/x")["client"], "::1");
}

#[test]
fn a_host_name_as_endpoint() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before_address(&format!("localhost:{}", origin.port())));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn unix_sockets_on_both_sides() {
    let dir = TempDir::new();
    let origin = Origin::at(&Place::Unix(dir.join("origin.sock")), |served| served.echo());
    let path = dir.join("gateway.sock");
    let config = Config::before(&origin).address(&format!("unix:{}", path.display()));
    let gateway = Gateway::start(&config);
    gateway.wait_for_log("listening");
    let mut client = Client::unix(&path);
    for _ in 0..3 {
        assert_eq!(client.ask(REQUEST).status, 200);
    }
    let content = "x".repeat(300_000);
    let reply = client.ask(format!(
        "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    ));
    assert!(reply.text().ends_with(&content));
    assert_eq!(origin.connections(), 1);
    assert!(!origin.last_request().fields.has("x-forwarded-for"), "a Unix peer has no address");
}

#[test]
fn a_unix_socket_left_behind_is_replaced_and_ours_is_removed() {
    let dir = TempDir::new();
    let origin = Origin::echo();
    let path = dir.join("gateway.sock");
    // A process that was killed leaves its socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let config = Config::before(&origin).address(&format!("unix:{}", path.display()));
    let gateway = Gateway::start(&config);
    assert_eq!(Client::unix(&path).ask(REQUEST).status, 200);
    gateway.stop();
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_with_several_workers() {
    let dir = TempDir::new();
    let origin = Origin::echo();
    let path = dir.join("gateway.sock");
    let config =
        Config::before(&origin).address(&format!("unix:{}", path.display())).also("workers: 2");
    let _gateway = Gateway::start(&config);
    for _ in 0..20 {
        assert_eq!(Client::unix(&path).ask(REQUEST).status, 200);
    }
}

#[test]
fn several_listeners_serve_the_same_routes() {
    let origin = Origin::echo();
    let config = Config::before(&origin).to_string().replace(
        "services:",
        "  second: { address: \"127.0.0.1:0\", forwarded: { via: second } }\nservices:",
    );
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 200);
    let mut second = Client::connect(gateway.address_of("second"));
    assert_eq!(second.get("/").status, 200);
    assert_eq!(origin.last_request().field("via"), Some("1.1 second"));
}

#[test]
fn an_origin_that_comes_back_is_found_again() {
    let origin = Origin::echo();
    let port = origin.port();
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.get("/").status, 200);
    drop(origin);
    assert!(eventually(|| gateway.get("/").status == 502));
    let place = Place::Tcp(([127, 0, 0, 1], port).into());
    let _origin = Origin::at(&place, |served| served.echo());
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_second_gateway_on_the_same_port_ends_and_takes_no_client() {
    let origin = Origin::echo();
    let first = Gateway::start(&Config::before(&origin).also("workers: 2"));
    let address = first.address().to_string();
    let dir = TempDir::new();
    let config = Config::before_address("127.0.0.1:1").address(&address);
    let taken = format!("admin: {{ address: \"{}\" }}", first.admin_address());
    for (admin, wanted) in [("admin: off", &address), (&taken, &first.admin_address().to_string())]
    {
        let path = dir.write("second.yaml", config.clone().also(admin).to_string());
        let mut second = Command::new(binary())
            .args(["run", "--config"])
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let ended = until(|| second.try_wait().unwrap());
        let _ = second.kill();
        let told = String::from_utf8(second.wait_with_output().unwrap().stderr).unwrap();
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "{told}");
        assert!(told.contains(wanted) && told.contains("in use"), "{told}");
        assert!(!told.contains("listening"), "{told}");
    }
    for _ in 0..20 {
        assert_eq!(first.get("/").status, 200, "the first serves all its clients");
    }
}
