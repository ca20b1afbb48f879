//! What holds for the connections of a request before HTTP is spoken on them: PROXY headers,
//! certificates of clients, and the version of HTTP that a service is spoken to in.

use portcullis_config::model::{
    ClientAuth, ClientCertHeader, Granter, Listener, Pace, Protocol, ProxySenders, ProxyVersion,
    Service, UpstreamToken,
};
use serde_json::{Value, json};

/// What holds for connections to a listener, a sentence each.
pub(super) fn of_listener(listener: &Listener) -> Vec<String> {
    let proxied = listener.proxy_protocol.as_ref().map(|senders| match senders {
        ProxySenders::Networks(networks) => {
            let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
            format!(
                "PROXY header: needed, from {}; others are refused; the client is who it names",
                networks.join(", ")
            )
        }
        ProxySenders::Unix => {
            "PROXY header: needed, from whoever may connect to the socket; the client is who it names"
                .to_owned()
        }
    });
    let auth = listener.tls.as_ref().and_then(|tls| tls.client_auth.as_ref());
    let rate = &listener.limits.connection_rate;
    let paces = [("from one address", rate.per_client), ("from all together", rate.total)];
    let paces = paces.into_iter().filter_map(|(whose, pace)| {
        pace.map(|Pace { limit, per, burst }| {
            format!("new connections {whose}: {limit} in {per:?}, {burst} at once")
        })
    });
    proxied.into_iter().chain(paces).chain(auth.map(certificates)).collect()
}

fn certificates(auth: &ClientAuth) -> String {
    let ca = auth.ca.path.display();
    let asked = match auth.required {
        true => format!("required, of the authorities in {ca}; others fail in the handshake"),
        false => format!("optional; one that is shown must be of the authorities in {ca}"),
    };
    let revoked = match auth.revocation.lists.len() {
        0 => "",
        _ => ", and not be revoked",
    };
    let told = match &*auth.headers {
        [] => "nothing".to_owned(),
        headers => names(headers).join(", "),
    };
    format!("client certificate: {asked}{revoked}; services are told {told}")
}

fn names(headers: &[ClientCertHeader]) -> Vec<&'static str> {
    headers.iter().map(|header| header.name()).collect()
}

/// The same for connections to a service. `upgrades` if the request may switch protocols.
pub(super) fn of_service(service: &Service, upgrades: bool) -> Vec<String> {
    let version = match (service.protocol, upgrades) {
        (Protocol::Http1, _) => None,
        (Protocol::Http2, false) if service.tls.is_some() => {
            Some("HTTP/2, which the endpoint must choose (ALPN)")
        }
        (Protocol::Http2, false) => Some("HTTP/2, by prior knowledge"),
        (Protocol::Http2, true) => {
            Some("HTTP/2: the switch of protocols becomes an extended CONNECT (RFC 8441)")
        }
        (Protocol::Auto, false) => {
            Some("HTTP/2 where the endpoint chooses it (ALPN), else HTTP/1.1")
        }
        (Protocol::Auto, true) => Some("HTTP/1.1, for the request may switch protocols"),
    };
    version.map(str::to_owned).into_iter().chain(of_bytes(service)).chain(token(service)).collect()
}

/// The same whatever is spoken.
pub(super) fn of_bytes(service: &Service) -> Vec<String> {
    let shown = service.tls.as_ref().and_then(|tls| tls.certificate.as_ref());
    let shown = shown.map(|own| {
        format!("shows the certificate in {} to endpoints that ask", own.cert.path.display())
    });
    let proxied = service.proxy_protocol.map(|version| {
        let version = number(version);
        format!(
            "each connection begins with a PROXY header (v{version}) and serves one client alone"
        )
    });
    shown.into_iter().chain(proxied).collect()
}

/// The token that is shown to a service.
fn token(service: &Service) -> Option<String> {
    let UpstreamToken { granter, client, .. } = service.upstream_token.as_deref()?;
    let id = &client.id;
    let whom = match granter {
        Granter::Issuer { name, .. } => format!("that the issuer {name} grants to {id}"),
        Granter::Address { endpoint, .. } => format!("that {} grants to {id}", endpoint.as_str()),
    };
    Some(format!("shows the token {whom} in place of the client's `Authorization`"))
}

fn number(version: ProxyVersion) -> u8 {
    match version {
        ProxyVersion::V1 => 1,
        ProxyVersion::V2 => 2,
    }
}

/// What of it a program is told of a listener.
pub(super) fn listener_facts(listener: &Listener) -> Value {
    let auth = listener.tls.as_ref().and_then(|tls| tls.client_auth.as_ref());
    let senders = listener.proxy_protocol.as_ref().map(|senders| match senders {
        ProxySenders::Networks(networks) => json!(networks),
        ProxySenders::Unix => json!("unix"),
    });
    json!({
        "http2": listener.http2.is_some(),
        "proxy_protocol": senders,
        "connection_rate": {
            "per_client": listener.limits.connection_rate.per_client.map(pace),
            "total": listener.limits.connection_rate.total.map(pace),
        },
        "client_auth": auth.map(|auth| json!({
            "required": auth.required,
            "ca": auth.ca.path,
            "headers": names(&auth.headers),
        })),
    })
}

fn pace(Pace { limit, per, burst }: Pace) -> Value {
    json!({ "limit": limit, "per_seconds": per.as_secs_f64(), "burst": burst })
}

/// The same of a service.
pub(super) fn service_facts(service: &Service) -> Value {
    json!({
        "protocol": match service.protocol {
            Protocol::Http1 => "http1",
            Protocol::Http2 => "http2",
            Protocol::Auto => "auto",
        },
        "proxy_protocol": service.proxy_protocol.map(number),
        "upstream_token": service.upstream_token.as_ref().map(|token| json!({
            "issuer": token.issuer(),
            "client": token.client.id,
        })),
        "certificate": service
            .tls
            .as_ref()
            .and_then(|tls| tls.certificate.as_ref())
            .map(|own| &own.cert.path),
    })
}
