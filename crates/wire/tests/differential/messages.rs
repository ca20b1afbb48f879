//! Messages by a grammar: mostly legal, with something odd in most of them, and now and then a byte
//! changed in what came out.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

mod chunks;
mod framing;

use framing::framing;

type Text = &'static [u8];

/// One to three requests, one behind the other.
pub(crate) fn requests() -> impl Strategy<Value = Vec<u8>> {
    let behind = mostly(40, &[b""], &[b"\r\n", b"\n", b"\r"]);
    let all = (vec(request(), 1..4), behind);
    damaged(all.prop_map(|(requests, behind)| [&requests.concat(), behind].concat()))
}

/// Interim replies, then a final one, then perhaps more.
pub(crate) fn replies() -> impl Strategy<Value = Vec<u8>> {
    let interim = mostly(
        9,
        &[b""],
        &[
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
            b"HTTP/1.1 100 \r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 102 Processing\r\nContent-Length: 3\r\n\r\nabc",
            b"HTTP/1.1 103 \r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            b"\r\n",
        ],
    );
    let behind = mostly(20, &[b""], &[b"HTTP/1.1 200 OK\r\n\r\n", b"x", b"\r\n"]);
    let all = (interim, reply(), behind);
    damaged(all.prop_map(|(before, reply, behind)| [before, &reply, behind].concat()))
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let line = (method(), space(), target(), space(), version(), line_end()).prop_map(
        |(method, space, target, other, version, end)| {
            [method, space, target, other, version, end].concat()
        },
    );
    let empty_line = mostly(40, &[b""], &[b"\r\n", b"\n", b"\r\n\r\n", b" "]);
    let head =
        (empty_line, line, host()).prop_map(|(empty, line, host)| [empty, &line, host].concat());
    message(head, framing())
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let status = mostly(
        12,
        &[b"200 OK", b"404 Not Found", b"204 No Content", b"304 Not Modified", b"206 ", b"500"],
        &[
            b"099 x",
            b"600 x",
            b"999 x",
            b"20 x",
            b"2000 x",
            b"+20 x",
            b"200  x",
            b"200\tx",
            b" 200 x",
            b"200 \xc3\xa9",
            b"200 a\rb",
            b"200 \0",
            b"abc x",
            b"",
            b"205 Reset",
        ],
    );
    let line = (version(), space(), status, line_end())
        .prop_map(|(version, space, status, end)| [version, space, status, end].concat());
    message(line, framing())
}

/// Start line (and `Host`), fields, framing, the empty line and the body.
fn message(
    start: impl Strategy<Value = Vec<u8>>,
    framing: impl Strategy<Value = (Vec<u8>, Vec<u8>)>,
) -> impl Strategy<Value = Vec<u8>> {
    let fields = vec(prop_oneof![6 => field_line(), 2 => connection()], 0..4);
    (start, fields, framing, any::<bool>(), line_end()).prop_map(
        |(start, fields, (framing, body), framing_first, end)| {
            let fields = fields.concat();
            let fields = match framing_first {
                true => [framing, fields].concat(),
                false => [fields, framing].concat(),
            };
            [&start, &fields[..], end, &body].concat()
        },
    )
}

fn method() -> impl Strategy<Value = Text> {
    mostly(
        25,
        &[b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"DELETE", b"PURGE"],
        &[
            b"get",
            b"CONNECT",
            b"TRACE",
            b"G@T",
            b"G,T",
            b"",
            b" GET",
            b"GET\t",
            b"G\0T",
            b"\xc3\xa9",
            b"AMETHODTHATISLONGERTHANANYMETHODTHATANYBODYHASEVERHEARDOF",
        ],
    )
}

fn target() -> impl Strategy<Value = Text> {
    mostly(
        12,
        &[
            b"/",
            b"/a/b",
            b"/a?b=c&d",
            b"/?",
            b"//a",
            b"/%2e%2F",
            b"/a?b?c/d",
            b"http://b.example/x?y",
        ],
        &[
            b"*",
            b"a",
            b"/a b",
            b"/a#f",
            b"/\xc3\xa9",
            b"/\"",
            b"/{x}",
            b"/<x>",
            b"/`",
            b"/^|",
            b"/\\",
            b"/a\x01",
            b"/a\x7f",
            b"/a\0",
            b"/a?\"<>",
            b"",
            b"http://u@a/",
            b"http://",
            b"http:///x",
            b"ftp://a/",
            b"https://a:99999/",
            b"http://a?q",
            b"http://a",
            b"HTTP://A/",
            b"a:443",
            b"http://[::1]:80/",
            b"http://[::1/",
            b"http://a b/",
            b"http://a,b/",
            b"http://a%20b/",
            b"http://a/#f",
            b"?q",
            b"/a:b@c",
            b"http://a:/",
            b"http://_a/",
        ],
    )
}

fn version() -> impl Strategy<Value = Text> {
    let odd: &[Text] = &[
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/0.9",
        b"http/1.1",
        b"HTTP/1.1 ",
        b"HTTP/01.1",
        b"HTTP/1.10",
        b"HTTP/1",
        b"",
        b"HTTP/1.1\t",
        b"HTTP /1.1",
        b"HTTP/1,1",
        b"xHTTP/1.1",
    ];
    mostly(40, &[b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0"], odd)
}

fn host() -> impl Strategy<Value = Text> {
    mostly(
        15,
        &[b"Host: a.example\r\n", b"host:a:80\r\n", b"HOST: \t[::1]:8080 \r\n"],
        &[
            b"",
            b"Host: a\r\nHost: a\r\n",
            b"Host: a\r\nhost: b\r\n",
            b"Host:\r\n",
            b"Host: a b\r\n",
            b"Host: u@h\r\n",
            b"Host: a,b\r\n",
            b"Host : a\r\n",
            b"Host: a:b\r\n",
            b"Host: a/b\r\n",
            b"Host: \xc3\xa9\r\n",
            b" Host: a\r\n",
            b"Host: [::1\r\n",
            b"Host: a\r\n b\r\n",
        ],
    )
}

fn connection() -> impl Strategy<Value = Vec<u8>> {
    let all: &[Text] = &[
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: Close, X\r\n",
        b"Connection: close\r\nConnection: keep-alive\r\n",
        b"Connection: close x\r\n",
        b"Connection: upgrade\r\nUpgrade: x\r\n",
        b"Connection: ,close\r\n",
        b"Connection: keep-alive, close\r\n",
        b"Connection: close\xff\r\n",
        b"Connection: \xc3\xa9, close\r\n",
        b"Proxy-Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"Keep-Alive: timeout=5\r\n",
        b"Connection: \"close\"\r\n",
    ];
    select(all).prop_map(<[u8]>::to_vec)
}

/// Any other field. Shared by heads and trailers.
fn field_line() -> impl Strategy<Value = Vec<u8>> {
    let name = mostly(
        30,
        &[b"X-A", b"accept", b"X_b", b"Cookie", b"!#$%&'*+-.^_`|~1"],
        &[
            b"",
            b" X",
            b"X Y",
            b"X\0",
            b"(x)",
            b"\xc3\xa9",
            b"X\tY",
            b"X\r\n",
            b"X\x7f",
            b"\"x\"",
            b"X@",
        ],
    );
    let colon = mostly(40, &[b": ", b":", b":\t "], &[b" :", b"\t: ", b"", b"=", b":: ", b":\n"]);
    let value = mostly(
        25,
        &[b"1", b"a, b", b"", b"\"q\\\"\"", b"\xc3\xa9\xff", b"a  b\tc", b":x"],
        &[b"a\0b", b"a\rb", b"\x7f", b"\x0b", b"1\r\n 2", b"1\r\n\t2", b"a\nb", b"\x01", b"\r\n 1"],
    );
    let blank = mostly(10, &[b""], &[b" ", b"\t ", b"\x0c"]);
    (name, colon, value, blank, line_end())
        .prop_map(|(name, colon, value, blank, end)| [name, colon, value, blank, end].concat())
}

fn space() -> impl Strategy<Value = Text> {
    mostly(60, &[b" "], &[b"  ", b"\t", b"", b" \t", b"\x0b", b"\0", b"\r"])
}

fn line_end() -> impl Strategy<Value = Text> {
    mostly(80, &[b"\r\n"], &[b"\n", b"\r", b"\r\r\n", b"\n\r", b" \r\n", b"\r \n", b""])
}

/// One of `usual`, or once in a while one of `odd`.
fn mostly(often: u32, usual: &'static [Text], odd: &'static [Text]) -> impl Strategy<Value = Text> {
    prop_oneof![often => select(usual), 1 => select(odd)]
}

/// Changes a byte or two, once in a while.
fn damaged(input: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let interesting: &[u8] = b"\r\n\0 \t:;,\"\\+-0123456789abcxX_/%?#*\x7f\x80\xff=";
    let change = (any::<Index>(), 0..4, select(interesting));
    let changes = prop_oneof![5 => Just(Vec::new()), 1 => vec(change, 1..3)];
    (input, changes).prop_map(|(mut input, changes)| {
        for (at, kind, byte) in changes {
            let at = at.index(input.len() + 1);
            match kind {
                0 => input.insert(at, byte),
                1 if at < input.len() => input[at] = byte,
                2 if at < input.len() => drop(input.remove(at)),
                // Ends in the middle.
                3 => input.truncate(at),
                _ => {}
            }
        }
        input
    })
}
