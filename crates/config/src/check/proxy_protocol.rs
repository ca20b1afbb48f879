//! Whose PROXY headers a listener believes.

use super::{Scope, address};
use crate::model::{Bind, ProxySenders};
use crate::raw::ProxyProtocolSpec;

/// The word for whoever may connect to a Unix socket.
const UNIX: &str = "unix";

pub(super) fn senders(
    spec: Option<&ProxyProtocolSpec>,
    bind: &Bind,
    scope: &mut Scope<'_>,
) -> Option<ProxySenders> {
    let trusted = &spec?.trusted;
    let faults = scope.findings.len();
    let mut networks = Vec::new();
    let mut unix = false;
    for item in &trusted.value {
        match (item.as_str(), bind) {
            (UNIX, Bind::Unix(_)) => unix = true,
            (UNIX, Bind::Tcp(_)) => {
                scope.fault(item.span, "`unix` is for a listener on a Unix socket").label =
                    "expected a CIDR such as `10.0.0.0/8`".into();
            }
            (_, Bind::Unix(_)) => {
                scope
                    .fault(item.span, "over a Unix socket nobody has an address to be trusted by")
                    .help = Some("write `trusted: [unix]`".into());
            }
            (_, Bind::Tcp(_)) => networks.extend(address::network(item, scope)),
        }
    }
    if trusted.value.is_empty() && !scope.incomplete && scope.findings.len() == faults {
        scope.fault(trusted.span, "nobody could connect: no proxy is trusted").help =
            Some("leave `proxy_protocol` out if there is no proxy in front".into());
    }
    Some(if unix { ProxySenders::Unix } else { ProxySenders::Networks(networks.into()) })
}
