//! Addresses: where a listener binds and where an endpoint is.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use super::{Scope, host};
use crate::model::{Address, Bind};
use crate::raw::Spanned;

/// The longest path of a Unix socket: `sun_path` holds 108 bytes, the last of them zero.
const LONGEST_SOCKET_PATH: usize = 107;

pub(super) fn bind(written: &Spanned<String>, scope: &mut Scope<'_>) -> Bind {
    let text = written.as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        return Bind::Unix(socket_path(path, written, scope));
    }
    Bind::Tcp(socket(written, scope))
}

/// An IP address and port to listen on.
pub(super) fn socket(written: &Spanned<String>, scope: &mut Scope<'_>) -> SocketAddr {
    let text = written.as_str();
    text.parse().unwrap_or_else(|_| {
        let shown = written.shown();
        let fault = scope.fault(written.span, format!("{shown} is no address to listen on"));
        fault.label = "expected `IP:PORT`, such as `0.0.0.0:8000` or `[::]:8000`".into();
        let port = text.rsplit(':').next().unwrap_or(text);
        if !written.hidden && port.parse::<u16>().is_ok() {
            fault.help = Some(match text.starts_with("localhost") {
                true => format!("did you mean `127.0.0.1:{port}`?"),
                false => format!("`0.0.0.0:{port}` listens on every IPv4 address"),
            });
        }
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

/// An endpoint's address; `text` is what is written at the place.
pub(super) fn endpoint(written: &Spanned<String>, scope: &mut Scope<'_>) -> Address {
    let text = written.as_str();
    if let Some(path) = text.strip_prefix("unix:") {
        return Address::Unix(socket_path(path, written, scope));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            scope.fault(written.span, "port 0 is no port to connect to");
        }
        return Address::Ip(address);
    }
    match named(text) {
        Ok(address) => address,
        Err(help) => {
            let shown = written.shown();
            let fault = scope.fault(written.span, format!("{shown} is no address of an endpoint"));
            fault.label = "expected `HOST:PORT`, `IP:PORT` or `unix:/path.sock`".into();
            fault.help = help.filter(|_| !written.hidden);
            Address::Unix(PathBuf::new())
        }
    }
}

/// `host:port`, or what may help.
fn named(text: &str) -> Result<Address, Option<String>> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.trim_end_matches('/');
        return Err(Some(match scheme {
            "https" => format!("write `{rest}` with its port, and `tls: {{}}` beside `endpoints`"),
            _ => format!("write `{rest}` with its port, without a scheme"),
        }));
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return Err(Some(format!("add the port: `{text}:80`")));
    };
    if name.parse::<IpAddr>().is_ok() {
        return Err(Some(format!("an IPv6 address stands in brackets: `[{name}]:{port}`")));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 && host::is_name(name) && port_is_plain(text) => {
            Ok(Address::Name { host: name.into(), port })
        }
        _ => Err(None),
    }
}

/// `parse::<u16>` takes a leading `+`.
fn port_is_plain(text: &str) -> bool {
    text.rsplit(':').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn socket_path(path: &str, written: &Spanned<String>, scope: &mut Scope<'_>) -> PathBuf {
    let resolved = scope.inputs.path(path);
    if path.is_empty() || path.contains('\0') {
        scope.fault(written.span, "the path of the Unix socket is missing").label =
            "expected `unix:/path.sock`".into();
    } else if resolved.as_os_str().len() > LONGEST_SOCKET_PATH {
        scope.fault(
            written.span,
            format!("the path of a Unix socket has at most {LONGEST_SOCKET_PATH} bytes"),
        );
    }
    resolved
}

/// A network, or one address.
pub(super) fn network(written: &Spanned<String>, scope: &mut Scope<'_>) -> Option<IpNet> {
    let text = written.as_str();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    let shown = written.shown();
    match text.parse::<IpNet>() {
        Ok(network) if network.addr() == network.network() => Some(network),
        Ok(network) => {
            let truncated = network.trunc();
            let fault =
                scope.fault(written.span, format!("{shown} has bits set behind its prefix"));
            fault.help = (!written.hidden)
                .then(|| format!("did you mean `{truncated}`, or `{}` alone?", network.addr()));
            None
        }
        Err(_) => {
            scope.fault(written.span, format!("{shown} is no network")).label =
                "expected a CIDR such as `10.0.0.0/8` or `fd00::/8`".into();
            None
        }
    }
}
