//! What a listener that does not speak HTTP cannot have.

use super::Scope;
use crate::model::ListenerProtocol;
use crate::node::Span;
use crate::raw::{ListenerProtocolSpec, ListenerSpec};

pub(super) fn protocol(spec: &ListenerSpec, scope: &mut Scope<'_>) -> ListenerProtocol {
    let Some(written) = &spec.protocol else {
        return ListenerProtocol::Http;
    };
    let protocol = match written.value {
        ListenerProtocolSpec::Http => return ListenerProtocol::Http,
        ListenerProtocolSpec::Tcp => ListenerProtocol::Tcp,
        ListenerProtocolSpec::TlsPassthrough => ListenerProtocol::TlsPassthrough,
    };
    for (key, at) in http_only(spec) {
        let name = protocol.as_str();
        let fault = scope.fault(at, format!("`{key}` has no meaning with `protocol: {name}`"));
        fault.also = Some((written.span, "the protocol is set here".into()));
    }
    if let Some(tls) = spec.tls.as_ref().filter(|_| protocol == ListenerProtocol::TlsPassthrough) {
        let fault = scope.fault(
            tls.certificates.span,
            "with `protocol: tls_passthrough` TLS is not ended here, so there is no certificate",
        );
        fault.also = Some((written.span, "the protocol is set here".into()));
        fault.help = Some("leave `tls` out, or end TLS here with `protocol: tcp`".into());
    }
    protocol
}

/// The keys written that are about HTTP alone.
fn http_only(spec: &ListenerSpec) -> impl Iterator<Item = (&'static str, Span)> {
    let (limits, timeouts) = (&spec.limits, &spec.timeouts);
    [
        ("http2", spec.http2.as_ref().map(|written| written.span)),
        ("forwarded", spec.forwarded.as_ref().map(|written| written.span)),
        ("path", spec.path.as_ref().map(|written| written.span)),
        ("limits.uri", limits.uri.as_ref().map(|written| written.span)),
        ("limits.fields", limits.fields.as_ref().map(|written| written.span)),
        ("limits.head", limits.head.as_ref().map(|written| written.span)),
        ("limits.body", limits.body.as_ref().map(|written| written.span)),
        ("limits.streams", limits.streams.as_ref().map(|written| written.span)),
        ("timeouts.idle", timeouts.idle.as_ref().map(|written| written.span)),
        ("timeouts.stall", timeouts.stall.as_ref().map(|written| written.span)),
        ("timeouts.min_rate", timeouts.min_rate.as_ref().map(|written| written.span)),
        ("timeouts.min_rate_grace", timeouts.min_rate_grace.as_ref().map(|written| written.span)),
    ]
    .into_iter()
    .filter_map(|(key, at)| Some((key, at?)))
}
