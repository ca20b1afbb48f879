//! HTTP/2 towards clients, at the level of frames, as RFC 9113 and RFC 7541 have it: what is legal
//! works, what is not gets the error that the standard names, and nobody else notices.

mod conformance;
mod desync;
mod floods;
mod header_lists;
mod lifetime;
mod penalties;
mod preface;
mod resets;
mod slow_clients;
mod streams;
mod tunnels;
mod vectors;
mod windows;

use std::io::{self, Write};
use std::thread;

use portcullis_testkit::h2::{GoAway, H2Client, code};
use portcullis_testkit::{Config, Gateway, Load, Origin, eventually};

/// What an attack may cost in memory, with room for noise.
const IN_GATEWAY: u64 = 16 * 1024 * 1024;

/// A connection with prior knowledge to the listener `web`.
fn client(gateway: &Gateway) -> H2Client {
    H2Client::connect(gateway.address())
}

/// A gateway whose listener has this as well.
fn gateway_with(origin: &Origin, listener: &str) -> Gateway {
    Gateway::start(&Config::before(origin).listener(listener))
}

/// A client that asks all the while, and must not notice what another one does.
struct Bystander {
    gateway: Gateway,
    load: Load,
    resident: u64,
}

impl Bystander {
    fn of(gateway: Gateway) -> Bystander {
        let load = Load::start(gateway.address(), "/bystander", 1);
        load.wait_for_more(10);
        let resident = gateway.resident();
        Bystander { gateway, load, resident }
    }

    /// Every request of this client was answered, the gateway has not grown, and new clients of
    /// both versions are served.
    fn has_noticed_nothing(self) -> Gateway {
        self.load.wait_for_more(10);
        let grown = self.gateway.resident().saturating_sub(self.resident);
        let report = self.load.stop();
        assert!(report.failed.is_empty() && report.refused == 0, "{report:?}");
        assert!(grown < IN_GATEWAY, "{grown} bytes more");
        assert_eq!(client(&self.gateway).get("/").status, 200);
        self.gateway
    }
}

/// Sends all of it from another thread, as far as it is taken, while this one reads until the
/// connection's end. Fails when it does not end.
fn flood(
    client: &mut H2Client,
    bytes: impl Iterator<Item = Vec<u8>> + Send + 'static,
) -> io::Result<Option<GoAway>> {
    let mut stream = client.connection().reader().stream().second_handle();
    client.be_quiet();
    let sending = thread::spawn(move || {
        for bytes in bytes {
            if stream.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let end = client.end_of_connection();
    client.connection().reader().stream().close();
    sending.join().expect("a thread that ends");
    end
}

/// The flood was ended by the gateway, and counted.
fn calmed(gateway: &Gateway, end: io::Result<Option<GoAway>>, kind: &str) {
    match end {
        Ok(Some(goaway)) if goaway.code == code::ENHANCE_YOUR_CALM => {}
        other => panic!("expected GOAWAY enhance_your_calm, got {other:?}"),
    }
    let counted = |name, labels: &str| eventually(|| gateway.metric(name, labels) >= 1.0);
    let kind = format!("kind=\"{kind}\"");
    assert!(counted("portcullis_http2_floods_total", &kind), "{kind} is not counted");
    let errors = "scope=\"connection\",code=\"enhance_your_calm\"";
    assert!(counted("portcullis_http2_errors_total", errors), "no error is counted");
}
