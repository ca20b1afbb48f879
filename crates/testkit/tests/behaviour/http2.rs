//! HTTP/2 towards clients, at the level of frames, as RFC 9113 and RFC 7541 have it: what is legal
//! works, what is not gets the error that the standard names, and nobody else notices.

mod conformance;
mod desync;
mod preface;
mod vectors;

use portcullis_testkit::h2::H2Client;
use portcullis_testkit::{Config, Gateway, Origin};

/// A connection with prior knowledge to the listener `web`.
fn client(gateway: &Gateway) -> H2Client {
    H2Client::connect(gateway.address())
}

/// A gateway whose listener's `http2` is this flow mapping.
fn gateway_with(origin: &Origin, http2: &str) -> Gateway {
    Gateway::start(&Config::before(origin).listener(&format!("http2: {http2}")))
}
