//! From text to routes as the configuration's check would make them, and to requests.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use portcullis_config::model::{
    Action, EncodedSlash, Faults, HostPattern, Importance, Match, PathPattern, PathPolicy,
    Predicate, Reply, Route, RouteTimeouts, Segment, ValueTest,
};
use portcullis_proxy::path::{Normal, normalise};
use portcullis_proxy::router::Request;
use portcullis_wire::Fields;
use regex::bytes::Regex;

const MOST_ROUTES: usize = 40;
const MOST_REQUESTS: usize = 20;

const POLICY: PathPolicy = PathPolicy { merge_slashes: true, encoded_slash: EncodedSlash::Keep };

/// Making a regex takes longer than all else here.
static REGEXES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let sources = ["/a/.*", "/[ab]/(?P<x>[^/]+)", "/.*", "/a(/b)?", "/(?P<y>a+)(/(?P<z>b))?"];
    sources.iter().filter_map(|source| Regex::new(&format!("^(?:{source})$")).ok()).collect()
});

/// What a text says.
#[derive(Default)]
pub(super) struct Script {
    pub(super) routes: Vec<Arc<Route>>,
    pub(super) requests: Vec<Asked>,
}

/// A request that owns its parts.
pub(super) struct Asked {
    listener: String,
    method: String,
    host: String,
    path: Vec<u8>,
    query: Option<String>,
    fields: Fields,
    client: IpAddr,
}

impl Script {
    pub(super) fn read(text: &str) -> Script {
        let mut script = Script::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("route") if script.routes.len() < MOST_ROUTES => {
                    let route = read_route(script.routes.len(), words);
                    script.routes.push(Arc::new(route));
                }
                Some(method) if script.requests.len() < MOST_REQUESTS => {
                    script.requests.extend(Asked::read(method, words));
                }
                _ => {}
            }
        }
        script
    }
}

impl Asked {
    fn read<'a>(method: &str, mut words: impl Iterator<Item = &'a str>) -> Option<Asked> {
        let url = words.next()?;
        let (host, target) = url.split_at(url.find('/')?);
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let mut asked = Asked {
            listener: "web".to_owned(),
            method: method.to_owned(),
            host: host.to_owned(),
            path: normal(path.as_bytes())?,
            query: query.map(str::to_owned),
            fields: Fields::default(),
            client: IpAddr::from([192, 0, 2, 1]),
        };
        for word in words {
            if let Some(client) = word.strip_prefix("from:").and_then(|text| text.parse().ok()) {
                asked.client = client;
            } else if let Some(listener) = word.strip_prefix("on:") {
                listener.clone_into(&mut asked.listener);
            } else if let Some((name, value)) = word.split_once('=') {
                asked.fields.push(name.as_bytes(), value.as_bytes());
            }
        }
        Some(asked)
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            listener: &self.listener,
            host: self.host.as_bytes(),
            path: &self.path,
            query: self.query.as_deref().map(str::as_bytes),
            method: self.method.as_bytes(),
            fields: &self.fields,
            client: self.client,
        }
    }
}

fn read_route<'a>(number: usize, words: impl Iterator<Item = &'a str>) -> Route {
    let mut matches = Match::default();
    let mut priority = 0;
    for word in words {
        let (kind, rest) = word.split_once(':').unwrap_or(("", word));
        match kind {
            "host" => matches.hosts.extend(host(rest)),
            "prefix" => matches.paths.extend(prefix(rest)),
            "regex" => {
                let regex = rest.parse().ok().and_then(|at: usize| REGEXES.get(at));
                matches.paths.extend(regex.cloned().map(PathPattern::Regex));
            }
            "method" if !rest.is_empty() => {
                matches.methods.push(Arc::from(rest));
                if rest == "GET" {
                    matches.methods.push(Arc::from("HEAD"));
                }
            }
            "priority" => priority = rest.parse().unwrap_or(priority),
            "header" => matches.headers.extend(predicate(&rest.to_ascii_lowercase())),
            "query" => matches.query.extend(predicate(rest)),
            "cookie" => matches.cookies.extend(predicate(rest)),
            "on" => matches.listeners.push(Arc::from(rest)),
            "client" => {
                if let Ok(network) = rest.parse() {
                    matches.clients.push(network);
                }
            }
            _ => matches.paths.extend(segments(word, true).map(PathPattern::Segments)),
        }
    }
    if matches.paths.is_empty() {
        matches.paths.push(PathPattern::Prefix(Arc::from([])));
    }
    let reply = Reply { status: 204, headers: Vec::new(), body: Arc::from([]) };
    Route {
        name: format!("r{number:02}").into(),
        matches,
        priority,
        action: Action::Reply(Arc::new(reply)),
        body_limit: None,
        timeouts: RouteTimeouts::default(),
        upgrade: true,
        retries: None,
        fallback: None,
        policies: Default::default(),
        faults: Faults::default(),
        importance: Importance::Normal,
    }
}

/// A path in normal form.
fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match normalise(path, POLICY, &mut out).ok()? {
        Normal::AsIs => Some(path.to_vec()),
        Normal::Rewritten => Some(out),
    }
}

/// Lower case, with no empty label.
fn host(text: &str) -> Option<HostPattern> {
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let legal = name.len() <= 250 && name.split('.').all(label);
    legal.then(|| match lower.strip_prefix('*') {
        Some(suffix) => HostPattern::Suffix(Arc::from(suffix)),
        None => HostPattern::Exact(Arc::from(name)),
    })
}

fn prefix(text: &str) -> Option<PathPattern> {
    let mut all = segments(text, false)?.to_vec();
    if matches!(all.last(), Some(Segment::Literal(last)) if last.is_empty()) {
        all.pop();
    }
    Some(PathPattern::Prefix(all.into()))
}

fn segments(text: &str, rest: bool) -> Option<Arc<[Segment]>> {
    let pieces: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
    let segment = |(at, piece): (usize, &&str)| {
        let last = at + 1 == pieces.len();
        let inner = piece.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
        match inner.map(|inner| (inner, inner.strip_prefix('*'))) {
            // Numbers keep the names in one path apart.
            Some((_, Some(name))) => {
                (rest && last).then(|| Segment::Rest(format!("{name}{at}").into()))
            }
            Some((name, None)) => Some(Segment::Param(format!("{name}{at}").into())),
            None => literal(piece, last),
        }
    };
    pieces.iter().enumerate().map(segment).collect()
}

fn literal(piece: &str, last: bool) -> Option<Segment> {
    let path = normal(format!("/{piece}").as_bytes())?;
    let text = String::from_utf8(path).ok()?;
    let text = text.strip_prefix('/').filter(|text| last || !text.is_empty())?;
    // A dot segment, which goes away, is no literal.
    let vanished = text.is_empty() && !piece.is_empty();
    (!vanished && !text.contains('/')).then(|| Segment::Literal(Arc::from(text)))
}

/// `name=value`, `name=?` or `name=!`.
fn predicate(text: &str) -> Option<Predicate> {
    let (name, test) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
    let test = match test {
        "?" => ValueTest::Present(true),
        "!" => ValueTest::Present(false),
        value => ValueTest::Exact(Arc::from(value)),
    };
    Some(Predicate { name: Arc::from(name), test })
}
