//! WebSockets over HTTP/2 (RFC 8441): those that are open live on in the old process, and none fails.

use portcullis_testkit::{Config, Gateway, Load, Origin, Starting, WebSocket, eventually};

use super::assert_whole;

fn starting(origin: &Origin, more: &str) -> Gateway {
    Starting::new(&Config::before(origin).also(more)).replaceable().start()
}

#[test]
fn upgrades_in_a_row_fail_no_web_socket() {
    let origin = Origin::web_sockets();
    let gateway = starting(&origin, "workers: 2");
    let load = Load::web_sockets(gateway.address(), 4, 4);
    let requests = Load::http2(gateway.address(), "/", 2, 4);
    let mut staying = Vec::new();
    for _ in 0..6 {
        load.wait_for_more(40);
        requests.wait_for_more(40);
        staying.push(WebSocket::open(gateway.address()));
        gateway.upgrade();
        for web_socket in &mut staying {
            web_socket.echoes();
        }
    }
    load.wait_for_more(40);
    assert_whole(load);
    assert_whole(requests);
    assert_eq!(gateway.stopped(), 0, "each old process has one to look after");
    staying.into_iter().for_each(WebSocket::end);
    assert!(eventually(|| gateway.stopped() == 6), "the old ones end");
}

#[test]
fn they_live_until_the_deadline_of_the_old_process() {
    let origin = Origin::web_sockets();
    let gateway = starting(&origin, "workers: 2\nupgrade: { deadline: 5s }");
    let load = Load::web_sockets(gateway.address(), 2, 4);
    load.wait_for_more(20);
    let mut staying = WebSocket::open(gateway.address());
    staying.echoes();
    gateway.upgrade();
    staying.echoes();
    staying.is_cut();
    assert!(eventually(|| gateway.stopped() == 1));
    load.wait_for_more(20);
    assert_whole(load);
    let cut = |line: &serde_json::Value| line["error"] == "shutdown";
    assert_eq!(gateway.logged_requests().iter().filter(|line| cut(line)).count(), 1);
}
