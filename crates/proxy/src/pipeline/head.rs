//! Heads on their way: what is copied, what belongs to one connection only, what we write.

use portcullis_policies::browser::Kept;
use portcullis_wire::{
    BodyLength, Downstream, Fields, HeadWriter, Known, ReplyLine, RequestHead, RequestLine,
    Upstream, Version,
};

use super::browser::ReplyRules;
use super::{Scratch, upgrade};
use crate::forwarding::{self, Peer};
use crate::snapshot::ListenerSettings;
use crate::worker::Worker;

/// Where a request goes and as what.
pub(crate) struct Destination<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) query: Option<&'a [u8]>,
    pub(crate) authority: &'a [u8],
    /// The protocols to switch to, if that is allowed.
    pub(crate) upgrade: Option<&'a [u8]>,
    /// A key for the WebSocket handshake, where the client's version of HTTP has none.
    pub(crate) websocket_key: Option<&'a [u8]>,
    /// What the gateway itself says in `Authorization`, in place of the client.
    pub(crate) authorization: Option<&'a [u8]>,
}

/// Writes the request's head to the endpoint.
pub(crate) fn write_request(
    up: &mut Upstream,
    request: &RequestHead,
    to: &Destination<'_>,
    settings: &ListenerSettings,
    peer: &Peer,
) {
    let listener = &settings.listener;
    let trusted = forwarding::is_trusted(&listener.forwarded.trust, peer);
    let mut out = up.begin_request(&RequestLine {
        method: request.method(),
        path: to.path,
        query: to.query,
        authority: to.authority,
        length: request.length,
        declares_length: request.declares_length,
        expects_continue: request.expects_continue,
        upgrade: to.upgrade,
        takes_trailers: takes_trailers(request),
    });
    if let Some(key) = to.websocket_key {
        out.field(b"Sec-WebSocket-Key", key);
    }
    let nominated = Nominated::of(&request.fields);
    let counts_hops = matches!(request.method(), b"OPTIONS" | b"TRACE");
    out.copy(&request.fields, |field| match field.known {
        Known::Other if to.websocket_key.is_some() && upgrade::is_key(field.name) => false,
        Known::Other => {
            !(nominated.has(field.name) || (counts_hops && is_max_forwards(field.name)))
        }
        // Written by the connection from what was understood.
        Known::Host | Known::ContentLength => false,
        Known::Authorization if to.authorization.is_some() => false,
        Known::Expect => !field.value.eq_ignore_ascii_case(b"100-continue"),
        known => {
            !(known.is_hop_by_hop()
                || forwarding::is_managed(listener, trusted, known)
                || nominated.has(field.name))
        }
    });
    if let Some(value) = to.authorization {
        out.field(b"Authorization", value);
    }
    if counts_hops {
        let limits = request.fields.iter().filter(|field| is_max_forwards(field.name));
        limits.for_each(|field| write_hops_left(&mut out, field.value));
    }
    forwarding::write(&mut out, listener, trusted, peer, request);
    out.end();
}

/// Whether the client understands trailers (RFC 9110, 10.1.4). In HTTP/1.1 it must say as well that
/// this belongs to the connection, or it came through somebody who did not look.
fn takes_trailers(request: &RequestHead) -> bool {
    let fields = &request.fields;
    let lists = |known, wanted: &[u8]| {
        fields.all_known(known).flat_map(|value| value.split(|&b| b == b',')).any(|option| {
            let name = option.split(|&b| b == b';').next().unwrap_or_default();
            name.trim_ascii().eq_ignore_ascii_case(wanted)
        })
    };
    fields.has(Known::Te)
        && lists(Known::Te, b"trailers")
        && (request.version == Version::Http2 || lists(Known::Connection, b"te"))
}

fn is_max_forwards(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"max-forwards")
}

/// Passes `Max-Forwards` on, one less (RFC 9110, 7.6.2); what is no number is dropped.
fn write_hops_left(out: &mut HeadWriter<'_>, value: &[u8]) {
    let hops = std::str::from_utf8(value).ok().and_then(|digits| digits.parse::<u32>().ok());
    if let Some(left) = hops.and_then(|hops| hops.checked_sub(1)) {
        out.field(b"Max-Forwards", itoa::Buffer::new().format(left).as_bytes());
    }
}

/// Writes the endpoint's head, final or interim, to the client; to a final one goes what was added
/// to it, and what the rules make of it.
pub(crate) fn write_reply(
    down: &mut Downstream,
    Scratch { response, added, .. }: &Scratch,
    rules: &ReplyRules<'_>,
    worker: &Worker,
) {
    let ruled = response.status >= 200 && !rules.is_empty();
    let mut kept = Kept::default();
    let mut out = down.begin_reply(&ReplyLine {
        status: response.status,
        length: response.length,
        declared: response.declared,
    });
    let nominated = Nominated::of(&response.fields);
    let mut dated = response.status < 200;
    out.copy(&response.fields, |field| match field.known {
        Known::Other => {
            !(nominated.has(field.name) || is_replaced(added, field.name))
                && (!ruled || rules.keeps(field.name, &mut kept))
        }
        Known::ContentLength => false,
        Known::Date => {
            dated = true;
            true
        }
        // Without content in chunks no trailer can follow.
        Known::Trailer => response.length == BodyLength::Unknown,
        known => !known.is_hop_by_hop(),
    });
    if !dated {
        // A recipient with a clock dates what it passes on (RFC 9110, 6.6.1).
        out.field(b"Date", &worker.date());
    }
    if response.status >= 200 {
        write_added(&mut out, added);
        rules.write(kept, &mut out);
    }
    out.end();
}

/// Whether a field of the endpoint's means nothing beside one that was added: of the limits that
/// `X-RateLimit-*` tells there can be only one, and the client meets the gateway's first.
fn is_replaced(added: &Fields, name: &[u8]) -> bool {
    const START: &[u8] = b"x-ratelimit-";
    !added.is_empty()
        && name.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
        && added.iter().any(|field| field.name.eq_ignore_ascii_case(name))
}

/// Writes the fields that steps of the pipeline have added to a reply.
pub(crate) fn write_added(out: &mut HeadWriter<'_>, added: &Fields) {
    if !added.is_empty() {
        out.copy(added, |_| true);
    }
}

/// Fields that `Connection` names as belonging to the connection (RFC 9110, 7.6.1). What frames,
/// routes or forwards a message is none of these, whatever a client says: the gateway writes it.
pub(super) struct Nominated<'a> {
    fields: Option<&'a Fields>,
}

impl<'a> Nominated<'a> {
    pub(super) fn of(fields: &'a Fields) -> Nominated<'a> {
        // Nearly always there is nothing or one plain word, and no name need be compared.
        let plain = fields.all_known(Known::Connection).all(|value| {
            value == b"keep-alive"
                || value.eq_ignore_ascii_case(b"keep-alive")
                || value.eq_ignore_ascii_case(b"close")
                || value.eq_ignore_ascii_case(b"upgrade")
        });
        Nominated { fields: (!plain).then_some(fields) }
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.fields.is_some_and(|fields| {
            fields
                .all_known(Known::Connection)
                .flat_map(|value| value.split(|&b| b == b','))
                .any(|option| option.trim_ascii().eq_ignore_ascii_case(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nominated_names_are_found_in_every_connection_field() {
        let mut fields = Fields::default();
        fields.push(b"Connection", b"keep-alive, X-One");
        fields.push(b"Connection", b"x-two");
        let nominated = Nominated::of(&fields);
        assert!(nominated.has(b"x-one") && nominated.has(b"X-Two"));
        assert!(!nominated.has(b"x-three"));
    }
}
