//! The benchmark's own ends of HTTP/2, where no common tool does what is wanted: an origin that is cheap or
//! holds its answers back, a client that floods, and one that asks steadily and writes down how long it waits.
//!
//! Only the standard library and three calls of the C library, one thread a connection; HPACK is written, never read: what is asked for does
//! not matter to the origin, and of an answer only the status does. The harness compiles it with `rustc -O`.

mod bound;
mod flood;
mod frames;
mod origin;
mod steady;

use std::process::ExitCode;

const USAGE: &str = "usage:
  h2tool origin PORT [HELD]                 answer like a gRPC service; a request without body is held back
                                            until HELD of them are open
  h2tool flood PORT KIND CONNECTIONS SECONDS FROM   KIND: resets, continuations, pings, settings;
                                            FROM: its own address
  h2tool steady PORT PATH SECONDS FROM WAIT     200 requests a second over eight connections, which
                                            are opened WAIT seconds before the first";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("h2tool: {error}");
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
        _ => return None,
    })
}
