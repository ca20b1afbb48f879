//! Who may read replies from a page of another origin (Fetch, "CORS protocol"). Nothing is refused
//! here but preflights: a reply without these fields is refused by the browser itself.

use std::sync::Arc;

use portcullis_config::model::{Cors, CorsOrigins, Name};
use portcullis_wire::{Fields, RequestHead};

use super::origins::contains;
use crate::registry::Judged;

/// A policy as it runs.
#[derive(Debug)]
pub struct RunningCors {
    /// As configured.
    pub cors: Arc<Cors>,
    /// What is counted of it.
    pub judged: Arc<Judged>,
    methods: Option<Box<[u8]>>,
    headers: Option<Box<[u8]>>,
    expose: Box<[u8]>,
    max_age: Box<[u8]>,
}

/// What a browser asks before it sends a request (Fetch, "CORS-preflight request").
#[derive(Debug, Clone, Copy)]
pub struct Preflight<'a> {
    /// The method of that request.
    pub method: &'a [u8],
    fields: &'a Fields,
}

impl<'a> Preflight<'a> {
    /// What a request asks, if it is a preflight.
    #[must_use]
    pub fn of(request: &'a RequestHead) -> Option<Preflight<'a>> {
        if request.method() != b"OPTIONS" {
            return None;
        }
        let fields = &request.fields;
        let method = only(fields, b"access-control-request-method").filter(|m| is_token(m))?;
        fields.all(b"origin").next()?;
        Some(Preflight { method, fields })
    }
}

impl RunningCors {
    pub(crate) fn new(cors: &Arc<Cors>, judged: Arc<Judged>) -> RunningCors {
        let list = |names: &[Name]| names.join(", ").into_bytes().into_boxed_slice();
        RunningCors {
            methods: cors.methods.as_deref().map(list),
            headers: cors.headers.as_deref().map(list),
            expose: list(&cors.expose),
            max_age: cors.max_age.as_secs().to_string().into_bytes().into(),
            cors: Arc::clone(cors),
            judged,
        }
    }

    /// Adds what the reply to a request has to say. `worker` counts.
    pub fn tell(&self, request: &RequestHead, worker: usize, out: &mut Fields) {
        if matches!(self.cors.origins, CorsOrigins::Some(_)) {
            // Also where there is no origin: a cache must not give this reply to a page that has one.
            out.push(b"Vary", b"Origin");
        }
        let origin = only(&request.fields, b"origin");
        if !self.allow(origin, out) {
            return;
        }
        if !self.expose.is_empty() {
            out.push(b"Access-Control-Expose-Headers", &self.expose);
        }
        if origin.is_some() {
            self.judged.metrics.shard(worker).allowed.add(1);
        }
    }

    /// The same as [`RunningCors::preview`]. `worker` counts.
    pub fn answer(&self, preflight: &Preflight<'_>, worker: usize, out: &mut Fields) -> bool {
        let allowed = self.preview(preflight, out);
        let series = self.judged.metrics.shard(worker);
        if allowed { &series.allowed } else { &series.refused }.add(1);
        allowed
    }

    /// Adds what the reply to a preflight has to say. Gives whether the origin is let in; which
    /// methods and fields it may use, the browser reads from the reply.
    pub fn preview(&self, preflight: &Preflight<'_>, out: &mut Fields) -> bool {
        out.push(b"Vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
        if !self.allow(only(preflight.fields, b"origin"), out) {
            return false;
        }
        let methods = self.methods.as_deref().unwrap_or(preflight.method);
        if !methods.is_empty() {
            out.push(b"Access-Control-Allow-Methods", methods);
        }
        let asked = only(preflight.fields, b"access-control-request-headers");
        let asked =
            asked.filter(|asked| asked.split(|&b| b == b',').all(|n| is_token(n.trim_ascii())));
        if let Some(headers) = self.headers.as_deref().or(asked).filter(|list| !list.is_empty()) {
            out.push(b"Access-Control-Allow-Headers", headers);
        }
        out.push(b"Access-Control-Max-Age", &self.max_age);
        let private = b"access-control-request-private-network";
        if self.cors.private_network && only(preflight.fields, private) == Some(b"true") {
            out.push(b"Access-Control-Allow-Private-Network", b"true");
        }
        true
    }

    /// Whether pages of an origin may call.
    #[must_use]
    pub fn allows(&self, origin: &[u8]) -> bool {
        match &self.cors.origins {
            CorsOrigins::Any => true,
            CorsOrigins::Some(set) => contains(set, origin),
        }
    }

    fn allow(&self, origin: Option<&[u8]>, out: &mut Fields) -> bool {
        let value = match (&self.cors.origins, origin) {
            (CorsOrigins::Any, _) => b"*",
            (CorsOrigins::Some(set), Some(origin)) if contains(set, origin) => origin,
            _ => return false,
        };
        out.push(b"Access-Control-Allow-Origin", value);
        if self.cors.credentials {
            out.push(b"Access-Control-Allow-Credentials", b"true");
        }
        true
    }

    /// Whether a field of an endpoint's reply says what the gateway says for itself.
    #[must_use]
    pub fn replaces(name: &[u8]) -> bool {
        const START: &[u8] = b"access-control-";
        name.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
    }
}

/// The value of a field, unless it is there more than once.
pub(super) fn only<'a>(fields: &'a Fields, name: &'a [u8]) -> Option<&'a [u8]> {
    let mut values = fields.all(name);
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

/// A token (RFC 9110, 5.6.2).
fn is_token(text: &[u8]) -> bool {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(legal)
}
