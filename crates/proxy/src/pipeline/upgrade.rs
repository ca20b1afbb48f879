//! Switching protocols: which ones, and how a WebSocket's handshake goes through where one side
//! speaks HTTP/1.1 (RFC 6455) and the other HTTP/2 (RFC 8441).

use portcullis_core::{Failure, Reason};
use portcullis_wire::{
    BodyLength, Downstream, Known, ReplyLine, RequestHead, ResponseHead, Upstream, Version,
    websocket::{self, BadHandshake},
};

use super::Scratch;
use super::head::{self, Nominated};

/// Whether the protocols that a client wants to switch to may pass: everything but HTTP itself
/// and TLS, through which a request would slip past the gateway (h2c smuggling).
fn may_upgrade(protocols: &[u8]) -> bool {
    !protocols.is_empty()
        && protocols.split(|&b| b == b',').all(|protocol| {
            let name = protocol.trim_ascii().to_ascii_lowercase();
            !name.is_empty()
                && !name.starts_with(b"h2")
                && !name.starts_with(b"http")
                && !name.starts_with(b"tls")
        })
}

/// The protocols to switch to that may be passed on in this version of HTTP; HTTP/2 takes one.
pub(crate) fn wanted(request: &RequestHead, up: Version) -> Option<&[u8]> {
    let protocols = request.fields.first(Known::Upgrade).filter(|_| request.upgrade)?;
    let single = !protocols.contains(&b',');
    (may_upgrade(protocols) && (single || up != Version::Http2)).then_some(protocols)
}

/// Whether the request can be nothing but a tunnel: an extended CONNECT (RFC 8441), to which any
/// success says that the tunnel is open.
pub(crate) fn is_connect(request: &RequestHead) -> bool {
    request.upgrade && request.version == Version::Http2
}

/// Whether the handshake of HTTP/1.1 needs a key that the client did not give.
pub(crate) fn needs_key(request: &RequestHead, up: Version) -> bool {
    request.version == Version::Http2
        && up != Version::Http2
        && request
            .fields
            .first(Known::Upgrade)
            .is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Checks a WebSocket's handshake that is translated to HTTP/2, where nobody else would: with it go
/// the key and the version, and the gateway is the server who answers them (RFC 6455, 4.2).
///
/// # Errors
/// [`Reason::BadRequest`], or [`Reason::WebSocketVersion`].
pub(crate) fn check_handshake(request: &RequestHead, up: Version) -> Result<(), Failure> {
    let bridged = request.version != Version::Http2 && up == Version::Http2;
    let protocol = request.fields.first(Known::Upgrade).filter(|_| bridged && request.upgrade);
    if !protocol.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        return Ok(());
    }
    websocket::check(request).map_err(|fault| match fault {
        BadHandshake::Version => Failure::new(Reason::WebSocketVersion, fault),
        fault => Failure::new(Reason::BadRequest, fault),
    })
}

/// Whether this is the field that holds the key.
pub(crate) fn is_key(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"sec-websocket-key")
}

/// Checks a switch of protocols: that the client asked for it, and that the answer is to our key.
///
/// # Errors
/// [`Reason::UpstreamMalformed`].
pub(crate) fn check(up: &Upstream, scratch: &Scratch) -> Result<(), Failure> {
    let Scratch { request, response, .. } = scratch;
    if !is_asked_for(request, response) {
        let detail = "it switches to a protocol that nobody asked for";
        return Err(Failure::new(Reason::UpstreamMalformed, detail));
    }
    if needs_key(request, up.version()) {
        let expected = websocket::accept(&scratch.websocket_key);
        let mut answers = response.fields.all(b"sec-websocket-accept");
        if answers.next() != Some(expected.as_bytes()) || answers.next().is_some() {
            let detail = "its Sec-WebSocket-Accept does not answer our key";
            return Err(Failure::new(Reason::UpstreamMalformed, detail));
        }
    }
    Ok(())
}

/// Tells the client that protocols are switched: 101 (Switching Protocols), or a plain success.
pub(crate) fn write_switch(down: &mut Downstream, scratch: &Scratch) {
    let Scratch { request, response, .. } = scratch;
    let line = ReplyLine { status: 101, length: BodyLength::Empty, declared: None };
    let mut out = down.begin_reply(&line);
    out.field(b"Connection", b"Upgrade");
    let nominated = Nominated::of(&response.fields);
    let bridged = request.version != response.version
        && (request.version == Version::Http2 || response.version == Version::Http2);
    for field in response.fields.iter() {
        let passes = match field.known {
            Known::Upgrade => true,
            Known::ContentLength | Known::Trailer => false,
            _ if bridged && field.name.eq_ignore_ascii_case(b"sec-websocket-accept") => false,
            known => !known.is_hop_by_hop() && !nominated.has(field.name),
        };
        if passes {
            out.field(field.name, field.value);
        }
    }
    head::write_added(&mut out, &scratch.added);
    if bridged && let Some(key) = request.fields.all(b"sec-websocket-key").next() {
        // HTTP/2 has no such answer, and the client waits for it. One that speaks HTTP/2 itself
        // sent no key that anybody saw.
        if request.version != Version::Http2 {
            out.field(b"Sec-WebSocket-Accept", websocket::accept(key).as_bytes());
        }
    }
    out.end();
}

/// Whether a 101 switches to one protocol, and one that the client asked for (RFC 9110, 7.8).
fn is_asked_for(request: &RequestHead, response: &ResponseHead) -> bool {
    let mut answers = response.fields.all_known(Known::Upgrade);
    let (Some(answer), None) = (answers.next(), answers.next()) else {
        return false;
    };
    let mut asked = request.fields.all_known(Known::Upgrade).flat_map(|v| v.split(|&b| b == b','));
    asked.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_tls_are_no_protocols_to_upgrade_to() {
        assert!(may_upgrade(b"websocket"));
        assert!(may_upgrade(b"foo/2, Websocket"));
        for bad in ["", "h2c", "H2C", "websocket, h2c", "HTTP/2.0", "TLS/1.0", ",", "a,,b"] {
            assert!(!may_upgrade(bad.as_bytes()), "{bad}");
        }
    }
}
