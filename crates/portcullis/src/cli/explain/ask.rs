//! The question as it is put on the command line: URL, header fields, and the listener that the
//! request would arrive at.

use std::net::IpAddr;

use anyhow::Context;
use portcullis_config::model::{Bind, Config, Listener, ListenerProtocol};

/// The host of a path that stands alone.
const DEFAULT_HOST: &str = "localhost";

/// A URL, taken apart as a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// Whether it begins with `https:`; `None` when it is a path alone.
    tls: Option<bool>,
    /// Host, and port if one is given.
    pub(super) authority: String,
    /// Path and query.
    pub(super) target: String,
    /// It is about a connection of bytes rather than a request.
    pub(super) bytes: bool,
}

/// The listener that a request arrives at.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    pub(super) listener: &'a Listener,
    /// Why this one.
    pub(super) why: &'static str,
}

/// Takes a URL, a path or `*` apart. What stands behind `#` never leaves a client.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    if text.starts_with('/') || text == "*" {
        let authority = DEFAULT_HOST.to_owned();
        return Ok(Url { tls: None, authority, target: text.to_owned(), bytes: false });
    }
    let (scheme, rest) = text.split_once("://").ok_or(
        "expected a URL such as `http://api.example/users/7`, or a path such as `/users/7`",
    )?;
    if matches!(&*scheme.to_ascii_lowercase(), "tcp" | "tls") {
        let authority = rest.trim_end_matches('/').to_owned();
        return Ok(Url { tls: None, authority, target: String::new(), bytes: true });
    }
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return Err(format!("`{scheme}` is no scheme of HTTP; expected `http` or `https`")),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.is_empty() {
        return Err("the URL has no host".to_owned());
    }
    let slash = if target.starts_with('/') { "" } else { "/" };
    let (authority, target) = (authority.to_owned(), format!("{slash}{target}"));
    Ok(Url { tls: Some(tls), authority, target, bytes: false })
}

/// Takes a header field apart.
pub(super) fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `name: value`")?;
    if text.contains(['\r', '\n']) {
        return Err("a header field is one line".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// The address that a listener sees its peer at.
pub(super) fn peer(listener: &Listener, client: IpAddr) -> Option<IpAddr> {
    match listener.bind {
        Bind::Tcp(_) => Some(client.to_canonical()),
        Bind::Unix(_) => None,
    }
}

/// The listener that was named, or else the only one that the URL's scheme and port lead to, or
/// else the first by name.
pub(super) fn choose<'a>(
    config: &'a Config,
    named: Option<&str>,
    url: &Url,
) -> anyhow::Result<Chosen<'a>> {
    let chosen = |listener, why| Ok(Chosen { listener, why });
    if let Some(name) = named {
        let listener = config.listeners.get(name);
        let listener = listener.with_context(|| format!("there is no listener {name:?}"))?;
        anyhow::ensure!(speaks_http(listener), "the listener {name:?} does not speak HTTP");
        return chosen(listener, "named");
    }
    let http = || config.listeners.values().map(|l| &**l).filter(|l| speaks_http(l));
    let mut listeners = http();
    let first = listeners.next().context("the configuration has no listener for HTTP")?;
    if listeners.next().is_none() {
        return chosen(first, "the only one");
    }
    let only = |fits: &dyn Fn(&Listener) -> bool| {
        let mut fitting = http().filter(|listener| fits(listener));
        fitting.next().filter(|_| fitting.next().is_none())
    };
    if let Some(tls) = url.tls {
        let port = port(url, tls);
        let scheme_fits = |listener: &Listener| listener.tls.is_some() == tls;
        let port_fits = |listener: &Listener| match listener.bind {
            Bind::Tcp(address) => Some(address.port()) == port,
            Bind::Unix(_) => false,
        };
        if let Some(listener) = only(&|listener| scheme_fits(listener) && port_fits(listener)) {
            return chosen(listener, "its scheme and port are the URL's");
        }
        if let Some(listener) = only(&scheme_fits) {
            return chosen(listener, "its scheme is the URL's");
        }
    }
    chosen(first, "the first by name")
}

fn port(url: &Url, tls: bool) -> Option<u16> {
    let host_end = url.authority.rfind(']').unwrap_or(0);
    match url.authority[host_end..].rsplit_once(':') {
        Some((_, port)) if !port.is_empty() => port.parse().ok(),
        _ => Some(if tls { 443 } else { 80 }),
    }
}

fn speaks_http(listener: &Listener) -> bool {
    listener.protocol == ListenerProtocol::Http
}

#[cfg(test)]
mod tests {
    use portcullis_config::{Format, Loader};

    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, tls, authority, target) in [
            ("/a?b#c", None, "localhost", "/a?b"),
            ("*", None, "localhost", "*"),
            ("http://a.example", Some(false), "a.example", "/"),
            ("HTTPS://a.example:81?x=/", Some(true), "a.example:81", "/?x=/"),
            ("http://[::1]:8000//b", Some(false), "[::1]:8000", "//b"),
        ] {
            let (authority, target) = (authority.to_owned(), target.to_owned());
            assert_eq!(url(text), Ok(Url { tls, authority, target, bytes: false }), "{text}");
        }
        for bad in ["", "a.example/x", "ftp://a/", "http://", "http:///x"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_are_one_line_with_a_colon() {
        assert_eq!(field("x-a:  b: c "), Ok(("x-a".to_owned(), "b: c".to_owned())));
        assert_eq!(field("x-a:"), Ok(("x-a".to_owned(), String::new())));
        assert!(field("x-a").is_err());
        assert!(field("x-a: b\r\nx-c: d").is_err());
    }

    #[test]
    fn the_listener_fits_the_url() {
        let chosen = |listeners: &str, text: &str, named| {
            let yaml = format!(
                "listeners: {{ {listeners} }}\nroutes: {{ r: {{ reply: {{ status: 204 }} }} }}"
            );
            let config = Loader::from_text("t.yaml", yaml, Format::Yaml).load().unwrap().config;
            let chosen = choose(&config, named, &url(text).unwrap());
            chosen.map_or_else(|e| e.to_string(), |c| format!("{}: {}", c.listener.name, c.why))
        };
        let one = "web: { address: \"127.0.0.1:80\" }";
        let three = "b: { address: \"127.0.0.1:80\" }, c: { address: \"127.0.0.1:81\" }, a: { address: \"unix:/tmp/s\" }";
        assert_eq!(chosen(one, "https://h/", None), "web: the only one");
        assert_eq!(chosen(three, "http://h/", None), "b: its scheme and port are the URL's");
        assert_eq!(chosen(three, "http://[::1]:81/", None), "c: its scheme and port are the URL's");
        assert_eq!(chosen(three, "http://h:82/", None), "a: the first by name");
        assert_eq!(chosen(three, "/x", None), "a: the first by name");
        assert_eq!(chosen(three, "/x", Some("c")), "c: named");
        assert_eq!(chosen(three, "/x", Some("d")), "there is no listener \"d\"");
    }
}
