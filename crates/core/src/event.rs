//! The event that a finished request or connection is: one typed fact from which log and metrics come.

mod claims;
mod connection;
mod refused;

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use self::claims::ToldClaims;
pub use self::connection::ConnectionEvent;
pub use self::refused::RefusedEvent;
use crate::tls::HandshakeFault;
use crate::{Failure, RequestId};

/// A request that has ended, whichever way.
#[derive(Debug, Clone)]
pub struct RequestEvent<'a> {
    /// When its head had arrived.
    pub started: SystemTime,
    /// Its name.
    pub id: RequestId,
    /// The listener it came through.
    pub listener: &'a str,
    /// The client, as far as trusted hops tell.
    pub client: Option<IpAddr>,
    /// The subject of the client's certificate (RFC 4514), where one was shown and verified.
    pub client_cert: Option<&'a str>,
    /// Empty when the head could not be read; so are the three that follow.
    pub method: &'a [u8],
    /// The authority asked for.
    pub host: &'a [u8],
    /// The path as it came.
    pub path: &'a [u8],
    /// Version of HTTP, as `1.1`.
    pub version: &'a str,
    /// The route that took it.
    pub route: Option<&'a str>,
    /// The service it went to.
    pub service: Option<&'a str>,
    /// The endpoint that it went to.
    pub endpoint: Option<&'a str>,
    /// The consumer that calls.
    pub consumer: Option<&'a str>,
    /// What can be shown of its credential.
    pub credential: Option<&'a str>,
    /// The kind of that credential.
    pub auth: Option<&'a str>,
    /// What its token says, as far as that is to be told.
    pub claims: Option<&'a dyn ToldClaims>,
    /// The policy that refused it.
    pub policy: Option<&'a str>,
    /// What was done because a store did not answer: `open`, `closed` or `local`.
    pub store_bypassed: Option<&'a str>,
    /// The status that the client got; 0 when it got none.
    pub status: u16,
    /// Content bytes from the client.
    pub bytes_in: u64,
    /// Content bytes to the client.
    pub bytes_out: u64,
    /// From the head's last byte to the reply's last.
    pub duration: Duration,
    /// From the request's head to the reply's head of the endpoint.
    pub first_byte: Option<Duration>,
    /// What went wrong.
    pub failure: Option<&'a Failure>,
    /// How often an endpoint was asked; 0 when none was.
    pub tries: u32,
    /// The client got the route's fallback.
    pub fallback: bool,
}

impl RequestEvent<'_> {
    /// Appends the event as one line of JSON (RFC 8259) with a newline. Query strings are left out:
    /// they carry secrets too often.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(b"{\"time\":\"");
        write_time(self.started, out);
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(&self.id.digits());
        out.push(b'"');
        text(out, "listener", Some(self.listener.as_bytes()));
        if let Some(client) = self.client {
            out.extend_from_slice(b",\"client\":\"");
            write_ip(client, out);
            out.push(b'"');
        }
        text(out, "client_cert", self.client_cert.map(str::as_bytes));
        text(out, "method", Some(self.method));
        text(out, "host", Some(self.host));
        text(out, "path", Some(self.path));
        text(out, "version", Some(self.version.as_bytes()));
        text(out, "route", self.route.map(str::as_bytes));
        text(out, "service", self.service.map(str::as_bytes));
        text(out, "endpoint", self.endpoint.map(str::as_bytes));
        if let Some(auth) = self.auth {
            text(out, "consumer", self.consumer.map(str::as_bytes));
            text(out, "credential", self.credential.map(str::as_bytes));
            text(out, "auth", Some(auth.as_bytes()));
        }
        if let Some(told) = self.claims {
            claims::write(told, out);
        }
        text(out, "policy", self.policy.map(str::as_bytes));
        text(out, "store_bypassed", self.store_bypassed.map(str::as_bytes));
        let mut number = |name: &str, value: u64| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(digits.format(value).as_bytes());
        };
        number(",\"status\":", u64::from(self.status));
        number(",\"bytes_in\":", self.bytes_in);
        number(",\"bytes_out\":", self.bytes_out);
        number(",\"duration_us\":", micros(self.duration));
        if let Some(first_byte) = self.first_byte {
            number(",\"first_byte_us\":", micros(first_byte));
        }
        if self.tries > 1 {
            number(",\"tries\":", u64::from(self.tries));
        }
        if self.fallback {
            out.extend_from_slice(b",\"fallback\":true");
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

/// A TLS handshake with a client that failed, so that no request came of the connection.
#[derive(Debug, Clone)]
pub struct HandshakeEvent<'a> {
    /// When it failed.
    pub at: SystemTime,
    /// The listener it came to.
    pub listener: &'a str,
    /// The client's address; none over a Unix socket.
    pub client: Option<IpAddr>,
    /// The server name that the client asked for; lower case.
    pub sni: Option<&'a str>,
    /// The subject of the client's certificate (RFC 4514) where that was refused: what it claims.
    pub client_cert: Option<&'a str>,
    /// What went wrong.
    pub fault: HandshakeFault,
    /// The same in the words of TLS.
    pub detail: &'a str,
}

impl HandshakeEvent<'_> {
    /// Appends the event as one line of JSON (RFC 8259) with a newline.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"time\":\"");
        write_time(self.at, out);
        out.push(b'"');
        text(out, "listener", Some(self.listener.as_bytes()));
        if let Some(client) = self.client {
            out.extend_from_slice(b",\"client\":\"");
            write_ip(client, out);
            out.push(b'"');
        }
        text(out, "sni", self.sni.map(str::as_bytes));
        text(out, "client_cert", self.client_cert.map(str::as_bytes));
        text(out, "error", Some(b"tls_handshake"));
        text(out, "reason", Some(self.fault.code().as_bytes()));
        text(out, "detail", Some(self.detail.as_bytes()));
        out.extend_from_slice(b"}\n");
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Appends `,"name":"value"` with the value escaped; bytes beyond ASCII become U+FFFD.
fn text(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    // Nearly every value is plain.
    if is_plain(value) {
        out.extend_from_slice(value);
    } else {
        escape(out, value);
    }
    out.push(b'"');
}

/// Whether a value needs no escaping. Looks at eight bytes at a time: in a word, the highest bit of a
/// byte tells that it, or one below it in the same word, is odd.
fn is_plain(value: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
    let is = |word: u64, byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let odd = |word: u64| {
        let found = word | less(word, b' ') | is(word, b'"') | is(word, b'\\') | is(word, 0x7f);
        found & HIGHEST
    };
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    let all = words.iter().chain([&last]);
    all.fold(0, |found, word| found | odd(u64::from_ne_bytes(*word))) == 0
}

/// Copies runs of plain bytes and stops only at what must be escaped.
#[cold]
fn escape(out: &mut Vec<u8>, value: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = value;
    while let Some(at) =
        rest.iter().position(|&b| !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\')
    {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', b]),
            b if b < 0x80 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            }
            _ => out.extend_from_slice("\u{fffd}".as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(v4) => {
            let mut digits = itoa::Buffer::new();
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(digits.format(octet).as_bytes());
            }
        }
        IpAddr::V6(v6) => out.extend_from_slice(v6.to_string().as_bytes()),
    }
}

/// Appends RFC 3339 in UTC with microseconds, by the civil-from-days method.
fn write_time(time: SystemTime, out: &mut Vec<u8>) {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);

    padded(out, year, 4);
    for (mark, value) in [
        (b'-', month),
        (b'-', day),
        (b'T', second / 3_600),
        (b':', second / 60 % 60),
        (b':', second % 60),
    ] {
        out.push(mark);
        padded(out, value, 2);
    }
    out.push(b'.');
    padded(out, u64::from(since.subsec_micros()), 6);
    out.push(b'Z');
}

fn padded(out: &mut Vec<u8>, value: u64, width: u32) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10u64.pow(place) % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reason, RequestIds};

    fn event(path: &[u8]) -> RequestEvent<'_> {
        RequestEvent {
            started: UNIX_EPOCH + Duration::from_micros(1_709_210_096_000_007),
            id: RequestIds::new().draw(),
            listener: "web",
            client: Some(IpAddr::from([192, 0, 2, 1])),
            client_cert: None,
            method: b"GET",
            host: b"a.example",
            path,
            version: "1.1",
            route: Some("r"),
            service: None,
            endpoint: None,
            consumer: None,
            credential: None,
            auth: None,
            claims: None,
            policy: None,
            store_bypassed: None,
            status: 200,
            bytes_in: 0,
            bytes_out: 1024,
            duration: Duration::from_micros(1500),
            first_byte: None,
            failure: None,
            tries: 1,
            fallback: false,
        }
    }

    fn line(event: &RequestEvent<'_>) -> String {
        let mut out = Vec::new();
        event.write_json(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_line_has_time_and_numbers() {
        let line = line(&event(b"/x"));
        assert!(line.starts_with("{\"time\":\"2024-02-29T12:34:56.000007Z\""), "{line}");
        assert!(line.contains("\"client\":\"192.0.2.1\""));
        assert!(
            line.ends_with(
                "\"status\":200,\"bytes_in\":0,\"bytes_out\":1024,\"duration_us\":1500}\n"
            )
        );
    }

    #[test]
    fn a_failed_handshake_is_a_line_of_its_own() {
        let event = HandshakeEvent {
            at: UNIX_EPOCH,
            listener: "web",
            client: Some(IpAddr::from([192, 0, 2, 1])),
            sni: Some("a.example"),
            client_cert: Some("CN=gone"),
            fault: HandshakeFault::ClientCertificateRevoked,
            detail: "certificate \"revoked\"",
        };
        let mut out = Vec::new();
        event.write_json(&mut out);
        let expected = "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"listener\":\"web\",\
                        \"client\":\"192.0.2.1\",\"sni\":\"a.example\",\
                        \"client_cert\":\"CN=gone\",\"error\":\"tls_handshake\",\
                        \"reason\":\"client_certificate_revoked\",\
                        \"detail\":\"certificate \\\"revoked\\\"\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn hostile_text_is_escaped() {
        let line = line(&event(b"/\"\\\n\xff\x7f"));
        assert!(line.contains("\"path\":\"/\\\"\\\\\\u000a\u{fffd}\\u007f\""), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn a_failure_shows_its_reason_and_detail() {
        let failure = Failure::new(Reason::ConnectFailed, "refused");
        let mut event = event(b"/");
        event.failure = Some(&failure);
        (event.tries, event.fallback) = (3, true);
        assert!(line(&event).contains(",\"tries\":3,\"fallback\":true,"));
        assert!(line(&event).contains("\"error\":\"connect_failed\",\"detail\":\"refused\"}"));
    }
}
