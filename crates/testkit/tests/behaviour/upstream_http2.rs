//! HTTP/2 towards origins, at the level of frames: what origins may do wrong is a 502 or an aborted
//! reply, and what they may do at any time, such as to say goodbye, is no failure at all.

mod departures;
mod replies;
mod sharing;
mod stalls;

use portcullis_testkit::{Config, Gateway, Origin};

/// A gateway that speaks HTTP/2 to this origin.
fn before(origin: &Origin) -> Gateway {
    with(origin, "")
}

/// The same with more about the service.
fn with(origin: &Origin, service: &str) -> Gateway {
    let service = if service.is_empty() { String::new() } else { format!(", {service}") };
    Gateway::start(&Config::before(origin).service(&format!("protocol: http2{service}")))
}
