//! Checks in other protocols than HTTP/1.1 in the clear.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

use portcullis_testkit::h2::{Block, Frame, H2Served};
use portcullis_testkit::{Authority, Config, Gateway, Origin, Place, Served, TempDir, eventually};

use super::{becomes, endpoint};

/// A server of `grpc.health.v1` that answers with the status that is set; 0 is that the method is
/// not implemented.
fn grpc() -> (Origin, Arc<AtomicU8>) {
    let status = Arc::new(AtomicU8::new(1));
    let says = status.clone();
    let origin = Origin::h2(move |served| answer(served, &says));
    (origin, status)
}

fn answer(served: &mut H2Served<'_>, says: &AtomicU8) {
    while let Some(request) = served.request() {
        assert_eq!(request.path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.field("content-type"), "application/grpc");
        assert_eq!(request.field("te"), "trailers");
        assert_eq!(request.body, b"\0\0\0\0\x0c\x0a\x0ashop.Carts");
        let head = Block::status(200).field("content-type", "application/grpc");
        let status = says.load(SeqCst);
        let sent = if status == 0 {
            let head = head.field("grpc-status", "12");
            served.try_send(Frame::headers(request.stream, &head).ending())
        } else {
            let trailers = Block::new().field("grpc-status", "0");
            served
                .try_send(Frame::headers(request.stream, &head))
                .and_then(|()| {
                    served.try_send(Frame::data(request.stream, [0, 0, 0, 0, 2, 8, status]))
                })
                .and_then(|()| served.try_send(Frame::headers(request.stream, &trailers).ending()))
        };
        if sent.is_err() {
            return;
        }
    }
}

#[test]
fn grpc_says_whether_it_serves() {
    let (origin, status) = grpc();
    let active =
        "protocol: http2, health: { active: { grpc: { service: shop.Carts }, interval: 30ms } }";
    let gateway = Gateway::start(&Config::before(&origin).service(active));
    becomes(&gateway, &origin, "healthy");
    for (says, detail) in [(2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN"), (0, "grpc-status 12")] {
        status.store(says, SeqCst);
        becomes(&gateway, &origin, "unhealthy");
        let told = || endpoint(&gateway, &origin.address())["check"]["last"].clone();
        assert!(
            eventually(|| told()["detail"].as_str().is_some_and(|text| text.starts_with(detail))),
            "{detail}: {}",
            told()
        );
        assert_eq!(told()["result"], "not_serving");
        status.store(1, SeqCst);
        becomes(&gateway, &origin, "healthy");
    }
    assert_eq!(origin.connections(), 1, "the connection is kept");
}

#[test]
fn a_connection_may_be_enough() {
    let origin = Origin::with(Served::wait_for_end);
    let active = "health: { active: { tcp: {}, interval: 20ms } }, proxy_protocol: v2";
    let gateway = Gateway::start(&Config::before(&origin).service(active));
    becomes(&gateway, &origin, "healthy");
    assert!(eventually(|| origin.connections() > 3));
    // Each says that it speaks for itself (LOCAL), and nothing else.
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    assert!(eventually(|| origin.bytes().len() >= 3 * local.len()));
    assert_eq!(origin.bytes()[..3 * local.len()], local.repeat(3));
    let address = origin.address();
    drop(origin);
    assert!(eventually(|| endpoint(&gateway, &address)["check"]["verdict"] == "unhealthy"));
    assert_eq!(endpoint(&gateway, &address)["check"]["last"]["result"], "connect");
}

#[test]
fn checks_go_through_the_services_tls_and_to_another_port() {
    let (dir, authority) = (TempDir::new(), Authority::new());
    let ca = format!("{:?}", dir.write("ca.pem", authority.pem()));
    let issued = authority.issue(&["inner.example"]);
    let origin = Origin::at(&Place::tls(issued.server()), Served::echo);
    let side = Origin::at(&Place::tls(issued.server()), Served::echo);
    let tls = format!("tls: {{ ca: {ca}, server_name: inner.example }}");
    let with = |tls: &str| {
        let active = format!(
            "{tls}, health: {{ active: {{ path: /up, interval: 30ms, port: {} }} }}",
            side.port()
        );
        Config::before(&origin).service(&active)
    };
    let gateway = Gateway::start(&with(&tls));
    becomes(&gateway, &origin, "healthy");
    assert_eq!(side.first_request().field("host"), Some(&*side.address()));
    assert!(origin.requests().is_empty());
    // With other settings a connection that was opened before does not count.
    gateway.write_config(&with("tls: {}"));
    assert_eq!(gateway.reload().status, 200);
    becomes(&gateway, &origin, "unhealthy");
    assert_eq!(endpoint(&gateway, &origin.address())["check"]["last"]["result"], "tls");
}

#[test]
fn a_service_of_http2_is_asked_in_http2() {
    let origin = Origin::h2_echo();
    let active = "protocol: http2, health: { active: { path: /up, interval: 20ms } }";
    let gateway = Gateway::start(&Config::before(&origin).service(active));
    becomes(&gateway, &origin, "healthy");
    assert!(eventually(|| gateway.metric("portcullis_health_checks_total", "passed") > 5.0));
    assert_eq!(origin.connections(), 1);
}
