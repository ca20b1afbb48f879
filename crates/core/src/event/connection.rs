//! The event that a finished connection of a TCP route is.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::{micros, text, write_ip, write_time};
use crate::{Failure, RequestId};

/// A connection that has ended and whose bytes went on as they came.
#[derive(Debug, Clone)]
pub struct ConnectionEvent<'a> {
    /// When it was let in.
    pub started: SystemTime,
    /// Its name.
    pub id: RequestId,
    /// The listener it came through.
    pub listener: &'a str,
    /// What the listener speaks, as in the configuration.
    pub protocol: &'a str,
    /// The client, as far as a trusted PROXY header tells.
    pub client: Option<IpAddr>,
    /// The server name that the client asked for; lower case.
    pub sni: Option<&'a str>,
    /// The TCP route that took it.
    pub tcp_route: Option<&'a str>,
    /// The service it went to.
    pub service: Option<&'a str>,
    /// The endpoint that it went to.
    pub endpoint: Option<&'a str>,
    /// Bytes from the client that went on.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// How long it was open.
    pub duration: Duration,
    /// Until it was connected to the endpoint.
    pub connected: Option<Duration>,
    /// What went wrong.
    pub failure: Option<&'a Failure>,
}

impl ConnectionEvent<'_> {
    /// Appends the event as one line of JSON (RFC 8259) with a newline.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        write_time(self.started, out);
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(&self.id.digits());
        out.push(b'"');
        text(out, "listener", Some(self.listener.as_bytes()));
        text(out, "protocol", Some(self.protocol.as_bytes()));
        if let Some(client) = self.client {
            out.extend_from_slice(b",\"client\":\"");
            write_ip(client, out);
            out.push(b'"');
        }
        text(out, "sni", self.sni.map(str::as_bytes));
        text(out, "tcp_route", self.tcp_route.map(str::as_bytes));
        text(out, "service", self.service.map(str::as_bytes));
        text(out, "endpoint", self.endpoint.map(str::as_bytes));
        let mut number = |name: &str, value: u64| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        };
        number(",\"bytes_in\":", self.bytes_in);
        number(",\"bytes_out\":", self.bytes_out);
        number(",\"duration_us\":", micros(self.duration));
        if let Some(connected) = self.connected {
            number(",\"connected_us\":", micros(connected));
        }
        if let Some(failure) = self.failure {
            text(out, "error", Some(failure.reason.code().as_bytes()));
            if !failure.detail.is_empty() {
                text(out, "detail", Some(failure.detail.as_bytes()));
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::{Reason, RequestIds};

    #[test]
    fn the_line_has_what_is_known() {
        let failure = Failure::new(Reason::ConnectFailed, "refused");
        let event = ConnectionEvent {
            started: UNIX_EPOCH,
            id: RequestIds::new().draw(),
            listener: "edge",
            protocol: "tls_passthrough",
            client: Some(IpAddr::from([192, 0, 2, 1])),
            sni: Some("a.example"),
            tcp_route: Some("r"),
            service: None,
            endpoint: None,
            bytes_in: 1,
            bytes_out: 2,
            duration: Duration::from_micros(3),
            connected: None,
            failure: Some(&failure),
        };
        let mut line = Vec::new();
        event.write_json(&mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(line.starts_with("{\"time\":\"1970-01-01T00:00:00.000000Z\",\"id\":\""), "{line}");
        assert!(line.ends_with(
            "\",\"listener\":\"edge\",\"protocol\":\"tls_passthrough\",\"client\":\"192.0.2.1\",\
             \"sni\":\"a.example\",\"tcp_route\":\"r\",\"bytes_in\":1,\"bytes_out\":2,\
             \"duration_us\":3,\"error\":\"connect_failed\",\"detail\":\"refused\"}\n"
        ), "{line}");
    }
}
