//! A connection to a listener that does not speak HTTP: which TCP route takes it, and where it goes.

use std::fmt::Write;

use anyhow::Context;
use portcullis_config::Loader;
use portcullis_config::model::{Bind, Config, Listener, ListenerProtocol, TcpRoute};
use portcullis_proxy::Snapshot;
use portcullis_proxy::snapshot::Standing;

use super::ask::Url;
use super::{connection, endpoints, health};

/// What becomes of a connection, and whether somebody takes it.
pub(super) fn explain(
    loader: &Loader,
    config: &Config,
    snapshot: &Snapshot,
    named: Option<&str>,
    url: &Url,
) -> anyhow::Result<(String, bool)> {
    let (listener, why) = choose(config, named, url)?;
    let place = |path: &[&str]| loader.locate(path).map(|p| format!(" ({p})")).unwrap_or_default();
    let mut page = String::new();
    // Writing to a string cannot fail.
    let mut line = |label: &str, text: String| _ = writeln!(page, "{label:11}{text}");
    let (name, speaks) = (&listener.name, listener.protocol.as_str());
    let at = place(&["listeners", name]);
    line("listener", format!("{name}{at}: {speaks} on {}; {why}", listener.bind));
    connection::of_listener(listener).into_iter().for_each(|text| line("", text));
    let sni = server_name(listener, url);
    match (&sni, listener.protocol) {
        (Some(sni), _) => line("name", format!("{sni}, as its TLS asks for (SNI)")),
        (None, ListenerProtocol::TlsPassthrough) => line("name", "none is asked for".to_owned()),
        (None, _) => line("name", "none is looked at, for TLS does not pass through".to_owned()),
    }
    let routes = snapshot.tcp.get(name);
    let Some(taken) = routes.and_then(|routes| routes.find(sni.as_deref())) else {
        line("tcp route", "none takes it: the connection is refused".to_owned());
        return Ok((page, false));
    };
    let route: &TcpRoute = &taken.route;
    let why = match &*route.sni {
        [] => "it takes what no other does",
        _ => "the name is one of its `sni`",
    };
    line(
        "tcp route",
        format!("{}{} takes it: {why}", route.name, place(&["tcp_routes", &route.name])),
    );
    for &(slot, weight) in &taken.services {
        let Some(Some(service)) = snapshot.services.get(slot) else { continue };
        let Standing { shares, .. } = service.standing();
        let service = &service.service;
        let percent = f64::from(weight) * 100.0 / f64::from(taken.total_weight.max(1));
        let at = place(&["services", &service.name]);
        line("service", format!("{}{at}: {percent:.0} % of connections", service.name));
        connection::of_bytes(service).into_iter().for_each(|text| line("", text));
        let connect = route.connect.unwrap_or(service.timeouts.connect);
        let idle = route.idle.unwrap_or(service.timeouts.tunnel);
        line("", format!("connect {connect:?}, idle {idle:?}"));
        line("", format!("endpoints, {}:", endpoints::balance(service)));
        for (endpoint, share) in service.endpoints.iter().zip(shares) {
            let percent = endpoints::percent(share);
            line("", format!("  {}  weight {}  {percent}", endpoint.address, endpoint.weight));
        }
        health::lines(service).for_each(|text| line("", text));
    }
    Ok((page, true))
}

/// The listener that was named, or else the only one with the port, or the only one.
fn choose<'a>(
    config: &'a Config,
    named: Option<&str>,
    url: &Url,
) -> anyhow::Result<(&'a Listener, &'static str)> {
    let mut listeners: Vec<&Listener> = config.listeners.values().map(|one| &**one).collect();
    listeners.retain(|listener| listener.protocol != ListenerProtocol::Http);
    if let Some(name) = named {
        let found = listeners.iter().find(|listener| &*listener.name == name);
        let found = found.with_context(|| format!("there is no listener {name:?} of bytes"))?;
        return Ok((found, "named"));
    }
    if let [only] = &*listeners {
        return Ok((only, "the only one"));
    }
    let port = url.authority.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    listeners.retain(|listener| match listener.bind {
        Bind::Tcp(address) => Some(address.port()) == port,
        Bind::Unix(_) => false,
    });
    match &*listeners {
        [only] => Ok((only, "its port is the URL's")),
        _ => anyhow::bail!("no listener of bytes, or several, fit: name one with `--listener`"),
    }
}

/// The name that a client would ask for, where it is looked at.
fn server_name(listener: &Listener, url: &Url) -> Option<String> {
    let host = match url.authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => &url.authority,
    };
    // An address is no name (RFC 6066, 3).
    let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
    let passes = listener.protocol == ListenerProtocol::TlsPassthrough;
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    (passes && is_name).then_some(name)
}
