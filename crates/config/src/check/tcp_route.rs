//! A TCP route: its server names and where its connections go. What its listener and services must
//! be like is known only once all entries are read.

use super::{Scope, host, matching, route};
use crate::model::{TcpRoute, WeightedService};
use crate::raw::TcpRouteSpec;

pub(crate) fn tcp_route(spec: &TcpRouteSpec, scope: &mut Scope<'_>) -> TcpRoute {
    if spec.sni.as_ref().is_some_and(|names| names.0.is_empty()) && !scope.incomplete {
        let at = scope.name_span;
        scope.fault(at, "`sni` is an empty list").help =
            Some("leave `sni` out to take what no other route takes".into());
    }
    let written = spec.sni.as_ref().map_or(&[][..], |names| &names.0);
    let sni = written.iter().filter_map(|name| host::server_name_pattern(name, scope)).collect();
    TcpRoute {
        name: scope.name.clone(),
        listener: spec.listener.as_str().into(),
        sni: matching::without_doubles(sni),
        services: services(spec, scope),
        connect: scope.own_time(spec.timeouts.connect.as_ref()),
        idle: scope.own_time(spec.timeouts.idle.as_ref()),
    }
}

fn services(spec: &TcpRouteSpec, scope: &mut Scope<'_>) -> Vec<WeightedService> {
    match (&spec.service, &spec.split) {
        (Some(service), Some(split)) => {
            scope.fault(split.span, "a TCP route has either `service` or `split`, not both").also =
                Some((service.span, "`service` is here".into()));
            Vec::new()
        }
        (Some(service), None) => {
            vec![WeightedService { service: service.as_str().into(), weight: 1 }]
        }
        (None, Some(parts)) => route::split(parts, scope),
        (None, None) => {
            if !scope.incomplete {
                let message = format!("the TCP route `{}` leads nowhere", scope.name);
                let at = scope.name_span;
                scope.fault(at, message).label = "needs one of `service`, `split`".into();
            }
            Vec::new()
        }
    }
}
