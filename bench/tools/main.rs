//! The benchmark's own ends of connections, where no common tool does what is wanted. Of HTTP/2: an origin that is
//! cheap or holds its answers back, a client that floods, and one that asks steadily and writes down how long it
//! waits, with one thread a connection; HPACK is written, never read: what is asked for does not matter to the
//! origin, and of an answer only the status does. Of HTTP/1.1: an origin that can do so much and no more, and
//! requests that come whether or not those before were answered, each with one thread for all.
//!
//! Only the standard library and a few calls of the C library. The harness compiles it with `rustc -O`.

mod arrivals;
mod bound;
mod flood;
mod frames;
mod origin;
mod places;
mod poll;
mod steady;

use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "usage:
  ends origin PORT [HELD]                 answer like a gRPC service; a request without body is held back
                                            until HELD of them are open
  ends flood PORT KIND CONNECTIONS SECONDS FROM   KIND: resets, continuations, pings, settings;
                                            FROM: its own address
  ends steady PORT PATH SECONDS FROM WAIT     200 requests a second over eight connections, which
                                            are opened WAIT seconds before the first
  ends places ADDRESS PORT PLACES MS        HTTP/1.1; each request keeps one of PLACES for MS milliseconds
  ends arrivals PORT PATH RATE MS WARM SECONDS [FIELDS]  HTTP/1.1; RATE requests a second that give up
                                            after MS milliseconds; those of the first WARM seconds do not
                                            count; each has the next line of the file FIELDS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("ends: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// None when the words make no sense.
fn run(words: &[&str]) -> Option<std::io::Result<()>> {
    Some(match words {
        ["origin", port] => origin::serve(port.parse().ok()?, 0),
        ["origin", port, held] => origin::serve(port.parse().ok()?, held.parse().ok()?),
        ["flood", port, kind, connections, seconds, from] => flood::run(
            port.parse().ok()?,
            flood::Kind::named(kind)?,
            connections.parse().ok()?,
            seconds.parse().ok()?,
            from.parse().ok()?,
        ),
        ["steady", port, path, seconds, from, wait] => steady::run(
            port.parse().ok()?,
            path,
            seconds.parse().ok()?,
            from.parse().ok()?,
            wait.parse().ok()?,
        ),
        ["places", address, port, places, millis] => places::serve(
            address.parse().ok()?,
            port.parse().ok()?,
            places.parse().ok()?,
            Duration::from_millis(millis.parse().ok()?),
        ),
        ["arrivals", port, path, rate, millis, warm, seconds, fields @ ..] => {
            arrivals::run(arrivals::Plan {
                port: port.parse().ok()?,
                path: (*path).to_owned(),
                rate: rate.parse().ok()?,
                deadline: Duration::from_millis(millis.parse().ok()?),
                warm: Duration::from_secs(warm.parse().ok()?),
                counted: Duration::from_secs(seconds.parse().ok()?),
                fields: match fields {
                    [] => None,
                    [path] => Some(path.into()),
                    _ => return None,
                },
            })
        }
        _ => return None,
    })
}
