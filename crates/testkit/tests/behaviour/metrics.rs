//! What the admin listener tells about the requests that were served.

use portcullis_testkit::{Client, Config, Gateway, Origin, eventually};

#[test]
fn requests_are_counted_by_route_and_status() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            let status = if request.target == "/bad" { "500 Oops" } else { "200 OK" };
            served.send(format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello"));
        }
    });
    let gateway =
        Gateway::start(&Config::before(&origin).route("match: { path: [\"/ok\", \"/bad\"] }"));
    let mut client = gateway.client();
    for path in ["/ok", "/ok", "/ok", "/bad", "/nothing"] {
        let _ = client.get(path);
    }
    let all = |labels: &str| gateway.metric("portcullis_requests_total", labels);
    assert!(
        eventually(|| all("route=\"all\"") == 4.0),
        "{}",
        gateway.admin("GET", "/metrics").text()
    );
    assert_eq!(gateway.metric("portcullis_response_content_bytes_total", "route=\"all\""), 20.0);
    assert_eq!(gateway.metric("portcullis_request_duration_seconds_count", "route=\"all\""), 4.0);
    assert!(eventually(|| gateway.metric("portcullis_failures_total", "no_route") == 1.0));
    assert_eq!(gateway.metric("portcullis_upstream_connections_total", ""), 1.0);
    assert_eq!(gateway.metric("portcullis_upstream_reuses_total", ""), 3.0);
}

#[test]
fn open_connections_are_counted() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&Config::before(&origin).also("workers: 2"));
    let mut clients: Vec<Client> = (0..10).map(|_| gateway.client()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status, 200);
    }
    let open = || gateway.metric("portcullis_connections_open", "");
    assert!(eventually(|| open() == 10.0), "{}", open());
    clients.truncate(3);
    assert!(eventually(|| open() == 3.0), "{}", open());
    assert_eq!(gateway.metric("portcullis_connections_total", ""), 10.0);
}

#[test]
fn a_route_of_any_name_makes_a_legal_page() {
    let origin = Origin::echo();
    let config = Config::before(&origin).to_string().replace("  all:", "  \"a-1.b_c\":");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 200);
    assert!(eventually(|| gateway.metric("portcullis_requests_total", "route=\"a-1.b_c\"") == 1.0));
    for line in gateway.admin("GET", "/metrics").text().lines().filter(|l| !l.starts_with('#')) {
        let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>());
        assert!(matches!(value, Some(Ok(_))), "{line}");
    }
}

#[test]
fn the_admin_listener_is_not_for_browsers() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    let admin = gateway.admin_address();
    let ask = |fields: &str| {
        Client::connect(admin)
            .ask(format!("POST /reload HTTP/1.1\r\n{fields}Content-Length: 0\r\n\r\n"))
            .status
    };
    assert_eq!(ask(&format!("Host: {admin}\r\n")), 200);
    // A page of another site, and a name that was made to point here.
    assert_eq!(ask(&format!("Host: {admin}\r\nOrigin: https://evil.example\r\n")), 403);
    assert_eq!(ask("Host: evil.example\r\n"), 403);
    assert_eq!(gateway.admin("GET", "/reload").status, 405);
    assert_eq!(gateway.admin("GET", "/nothing").status, 404);
}
