//! Runs one operation of the request path so often that its instructions can be counted.
//!
//! `instructions OPERATION` is run under callgrind by `check`, which counts what happens inside
//! [`measured`] and nothing else; `instructions --list` names the operations. No clock, no chance
//! and no other thread: the same binary gives the same count every time.

use std::future::poll_fn;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use portcullis_config::model::{
    Action, EncodedSlash, Faults, Importance, Match, PathPattern, PathPolicy, Reply, Route,
    RouteTimeouts, Segment,
};
use portcullis_proxy::path::{Normal, normalise};
use portcullis_proxy::router::{Params, Request, Router};
use portcullis_wire::h1::{Connection, HeadLimits, ReplyTo, Scan, parse_request, parse_response};
use portcullis_wire::{
    BodyLength, Downstream, HeadWriter, Io, Known, ReplyLine, RequestHead, RequestLine,
    ResponseHead, Socket, Stream, Upstream,
};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

/// Runs that count. `check` divides by it.
const RUNS: usize = 100;
/// Runs before, so that buffers are as they are in a gateway at work.
const WARM: usize = 10;

const OPERATIONS: [&str; 6] = [
    "parse-request",
    "match-10-routes",
    "match-50000-routes",
    "write-request",
    "parse-reply",
    "write-reply",
];

const REQUEST: &[u8] = b"GET /team-004/api-00004/items/17?fields=name HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0\r\n\
    Accept: application/json, text/plain, */*\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxNyJ9.c2lnbmF0dXJl\r\n\
    Cookie: session=0123456789abcdef; theme=dark\r\n\
    Connection: keep-alive\r\n\r\n";

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx/1.28.0\r\n\
    Date: Mon, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: application/json\r\n\
    Content-Length: 1024\r\n\
    Connection: keep-alive\r\n\
    ETag: \"68e0c0de-400\"\r\n\
    Cache-Control: max-age=60\r\n\r\n";

const LIMITS: HeadLimits = HeadLimits { target: 8192, fields: 100, section: 32 * 1024 };

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // cargo itself may add options such as `--bench`.
    let operation = std::env::args().nth(1).unwrap_or_default();
    match operation.as_str() {
        "--list" => writeln!(io::stdout(), "{RUNS} {}", OPERATIONS.join(" "))?,
        "parse-request" => parse_requests()?,
        "match-10-routes" => match_routes(10)?,
        "match-50000-routes" => match_routes(50_000)?,
        "write-request" => write_requests()?,
        "parse-reply" => parse_replies()?,
        "write-reply" => write_replies()?,
        other => return Err(format!("`{other}` is none of {}", OPERATIONS.join(", ")).into()),
    }
    Ok(())
}

/// What `check` counts. Not inlined, so that callgrind can tell where it begins and ends, and not
/// left by a jump.
#[inline(never)]
fn measured(operation: &mut dyn FnMut() -> usize) -> usize {
    black_box(operation()) + 1
}

/// Runs an operation, warm runs first, and what has to happen after each.
fn repeat<C>(
    context: &mut C,
    mut operation: impl FnMut(&mut C) -> usize,
    mut after: impl FnMut(&mut C) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for _ in 0..WARM {
        black_box(operation(context));
        after(context)?;
    }
    for _ in 0..RUNS {
        measured(&mut || operation(context));
        after(context)?;
    }
    Ok(())
}

fn parse_requests() -> Result<(), Failure> {
    let mut head = RequestHead::default();
    let parse = |head: &mut RequestHead| {
        let parsed = parse_request(black_box(REQUEST), &LIMITS, &mut Scan::default(), head);
        parsed.ok().flatten().unwrap_or(0)
    };
    repeat(&mut head, parse, |head| whole(head.path() == b"/team-004/api-00004/items/17"))
}

fn parse_replies() -> Result<(), Failure> {
    let mut head = ResponseHead::default();
    let parse = |head: &mut ResponseHead| {
        let to = ReplyTo { head: false, upgrade: false };
        let parsed = parse_response(black_box(REPLY), to, &mut Scan::default(), head);
        parsed.ok().flatten().map_or(0, |(length, _)| length)
    };
    repeat(&mut head, parse, |head| whole(head.length == BodyLength::Exact(1024)))
}

/// Normalises the path and finds its route among so many.
fn match_routes(count: usize) -> Result<(), Failure> {
    let mut head = RequestHead::default();
    parse_request(REQUEST, &LIMITS, &mut Scan::default(), &mut head)?;
    let mut router = Router::default();
    for number in 0..count {
        router.insert(Arc::new(route(number)), number);
    }
    let policy = PathPolicy { merge_slashes: true, encoded_slash: EncodedSlash::Keep };
    let find = |(params, out): &mut (Params, Vec<u8>)| {
        let path = match normalise(black_box(head.path()), policy, out) {
            Ok(Normal::AsIs) => head.path(),
            Ok(Normal::Rewritten) => out,
            Err(_) => return usize::MAX,
        };
        let request = Request {
            listener: "web",
            host: head.authority(),
            path,
            query: head.query(),
            method: head.method(),
            fields: &head.fields,
            client: IpAddr::from([192, 0, 2, 1]),
        };
        router.find(&request, params).copied().unwrap_or(usize::MAX)
    };
    let mut context = (Params::default(), Vec::new());
    let path = head.path();
    repeat(&mut context, find, |(params, _)| whole(params.value("id", path) == Some(b"17")))
}

/// `/team-NNN/api-NNNNN/items/{id}`, a hundred of them to a team.
fn route(number: usize) -> Route {
    let literal = |text: String| Segment::Literal(text.into());
    let segments = [
        literal(format!("team-{:03}", number / 100 + 4)),
        literal(format!("api-{:05}", number)),
        literal("items".to_owned()),
        Segment::Param("id".into()),
    ];
    let reply = Reply { status: 204, headers: Vec::new(), body: Arc::from([]) };
    Route {
        retries: None,
        fallback: None,
        name: format!("route-{number:05}").into(),
        matches: Match { paths: vec![PathPattern::Segments(segments.into())], ..Match::default() },
        priority: 0,
        action: Action::Reply(Arc::new(reply)),
        body_limit: None,
        timeouts: RouteTimeouts::default(),
        upgrade: true,
        policies: Arc::default(),
        faults: Faults::default(),
        importance: Importance::Normal,
    }
}

fn write_requests() -> Result<(), Failure> {
    let mut head = RequestHead::default();
    parse_request(REQUEST, &LIMITS, &mut Scan::default(), &mut head)?;
    let write = |peers: &mut Peers<Upstream>| {
        let line = RequestLine {
            method: head.method(),
            path: head.path(),
            query: head.query(),
            authority: head.authority(),
            length: head.length,
            declares_length: head.declares_length,
            expects_continue: false,
            upgrade: None,
            takes_trailers: false,
        };
        let mut writer = peers.near.begin_request(black_box(&line));
        let passed = head.fields.iter().filter(|field| field.known != Known::Host);
        pass_on(passed, &mut writer);
        writer.field(b"X-Forwarded-For", b"192.0.2.1");
        writer.end();
        head.fields.len()
    };
    repeat(&mut Peers::new(|c| Upstream::H1(Box::new(c)))?, write, Peers::send)
}

fn write_replies() -> Result<(), Failure> {
    let mut head = ResponseHead::default();
    let to = ReplyTo { head: false, upgrade: false };
    parse_response(REPLY, to, &mut Scan::default(), &mut head)?;
    let write = |peers: &mut Peers<Downstream>| {
        // No content follows here, so its length is only named, as it is for HEAD.
        let line =
            ReplyLine { status: head.status, length: BodyLength::Empty, declared: head.declared };
        let mut writer = peers.near.begin_reply(black_box(&line));
        let passed = head.fields.iter().filter(|field| field.known != Known::ContentLength);
        pass_on(passed, &mut writer);
        writer.end();
        head.fields.len()
    };
    repeat(&mut Peers::new(|c| Downstream::H1(Box::new(c)))?, write, Peers::send)
}

/// Passes on what is not for one hop alone, as the pipeline does.
fn pass_on<'a>(
    fields: impl Iterator<Item = portcullis_wire::Field<'a>>,
    writer: &mut HeadWriter<'_>,
) {
    for field in fields.filter(|field| !field.known.is_hop_by_hop()) {
        writer.field(field.name, field.value);
    }
}

/// Two ends of a socket: what the near one writes goes away at the far one.
struct Peers<S> {
    near: S,
    far: UnixStream,
    runtime: Runtime,
}

impl<S: Stream> Peers<S> {
    fn new(side: impl Fn(Connection) -> S) -> Result<Peers<S>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (near, far) = {
            let _inside = runtime.enter();
            UnixStream::pair()?
        };
        let near = side(Connection::new(Io::Plain(Socket::Unix(near))));
        Ok(Peers { near, far, runtime })
    }

    fn send(&mut self) -> Result<(), Failure> {
        let Peers { near, far, runtime } = self;
        runtime.block_on(async {
            poll_fn(|cx| near.poll_flush(cx)).await?;
            far.readable().await?;
            let mut read = [0; 4096];
            let length = far.try_read(&mut read)?;
            whole(read[..length].ends_with(b"\r\n\r\n"))
        })
    }
}

/// An operation that fails takes few instructions; that must not pass for speed.
fn whole(done: bool) -> Result<(), Failure> {
    if done { Ok(()) } else { Err("the operation did not do its work".into()) }
}
