//! Request and response heads: what is made of one must not depend on how it arrives, and what is
//! accepted can be written again and means the same.

use std::fmt::Debug;

use portcullis_wire::h1::{
    HeadLimits, ReplyTo, Scan, parse_request as parse_request_head, parse_response,
};
use portcullis_wire::{BodyLength, Fields, Malformed, RequestHead, ResponseHead, Version};

use crate::cuts::Cuts;

/// Inputs beyond this are cut off: byte by byte they take long and show nothing new.
const LONGEST: usize = 8 * 1024;

/// Checks `input` as the head of a request.
pub fn request_head(input: &[u8]) {
    let input = &input[..input.len().min(LONGEST)];
    let wide = HeadLimits { target: 2048, fields: 100, section: 4096 };
    let narrow = HeadLimits { target: 16, fields: 3, section: 64 };
    for limits in [wide, narrow] {
        let parse = |seen: &[u8], scan: &mut Scan, head: &mut RequestHead| {
            parse_request_head(seen, &limits, scan, head)
        };
        let Some((head, length)) = read(input, parse, |head| format!("{:?}", Request::of(head)))
        else {
            continue;
        };
        check_fields(&head.fields);
        assert!(head.is_asterisk() || head.path().starts_with(b"/"), "a path without a slash");
        assert!(head.method().iter().all(u8::is_ascii_graphic), "the method is no token");
        let hosts = head.fields.all(b"host").count();
        assert!(hosts == 1 || (hosts == 0 && head.version == Version::Http10), "{hosts} hosts");
        assert!(input[..length].ends_with(b"\r\n\r\n"), "the head has no end");

        let written = write_request(&head);
        let mut again = RequestHead::default();
        let wide = HeadLimits { target: LONGEST, fields: 256, section: 2 * LONGEST };
        let read = parse_request_head(&written, &wide, &mut Scan::default(), &mut again);
        assert_eq!(read, Ok(Some(written.len())), "what was understood is refused when written");
        assert_eq!(Request::of(&head), Request::of(&again), "it means something else when written");
    }
}

/// Checks `input` as the head of a response to every kind of request.
pub fn response_head(input: &[u8]) {
    let input = &input[..input.len().min(LONGEST)];
    for (head, upgrade) in [(false, false), (true, false), (false, true), (true, true)] {
        let parse = |seen: &[u8], scan: &mut Scan, reply: &mut ResponseHead| {
            parse_response(seen, ReplyTo { head, upgrade }, scan, reply)
        };
        let Some((reply, (length, _))) = read(input, parse, shown_response) else {
            continue;
        };
        check_fields(&reply.fields);
        assert!((100..=599).contains(&reply.status), "status {}", reply.status);
        assert!(input[..length].ends_with(b"\r\n\r\n"), "the head has no end");
        let empty = head || reply.status < 200 || matches!(reply.status, 204 | 304);
        assert!(!empty || reply.length == BodyLength::Empty, "content where none may be");
    }
}

/// Reads a head at once and in pieces, and sees to it that nothing differs. `shown` tells all that
/// matters of a head.
fn read<H: Clone + Default, L: Debug + Copy + PartialEq>(
    input: &[u8],
    parse: impl Fn(&[u8], &mut Scan, &mut H) -> Result<Option<L>, Malformed>,
    shown: impl Fn(&H) -> String,
) -> Option<(H, L)> {
    let mut whole = H::default();
    let at_once = parse(input, &mut Scan::default(), &mut whole);
    for mut cuts in Cuts::of(input) {
        // What the head held before must not matter.
        let mut head = whole.clone();
        let mut scan = Scan::default();
        let mut in_pieces = Ok(None);
        let mut seen = 0;
        while seen < input.len() && in_pieces == Ok(None) {
            seen = input.len().min(seen + cuts.next_size());
            in_pieces = parse(&input[..seen], &mut scan, &mut head);
        }
        match (at_once, in_pieces) {
            (Ok(Some(_)), Ok(Some(_))) => {
                assert_eq!(at_once, in_pieces, "the head's length depends on the cuts");
                assert_eq!(shown(&whole), shown(&head), "the head depends on the cuts");
            }
            (Err(_), Ok(None)) | (Ok(None), Err(_)) => {
                // A fault may be seen earlier in one way, but not only in one way.
                let ended = [input, b"\r\n\r\n"].concat();
                let at_once = parse(&ended, &mut Scan::default(), &mut head);
                assert!(at_once.is_err(), "{at_once:?} at once, refused in pieces");
                let late = in_pieces.and_then(|_| parse(&ended, &mut scan, &mut head));
                assert!(late.is_err(), "{late:?} in pieces, refused at once");
            }
            (Ok(None), Ok(None)) | (Err(_), Err(_)) => {}
            _ => assert_eq!(at_once, in_pieces, "whether it is legal depends on the cuts"),
        }
    }
    at_once.ok().flatten().map(|length| (whole, length))
}

/// What no accepted field may hold.
fn check_fields(fields: &Fields) {
    let mut framing = 0;
    for field in fields.iter() {
        assert!(!field.name.is_empty(), "a field without a name");
        assert!(field.name.iter().all(u8::is_ascii_graphic), "a name that is no token");
        let illegal = |b: &u8| matches!(b, b'\r' | b'\n' | 0);
        assert!(!field.value.iter().any(illegal), "a value with a line end or NUL");
        let blank = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
        let (first, last) = (field.value.first(), field.value.last());
        assert!(!blank(first) && !blank(last), "a value with blanks around it");
        let name = field.name.to_ascii_lowercase();
        framing += usize::from(name == b"content-length" || name == b"transfer-encoding");
    }
    assert!(framing <= 1, "{framing} framing fields");
}

/// All that matters of a request's head.
#[derive(Debug, PartialEq)]
struct Request<'a> {
    method: &'a [u8],
    path: &'a [u8],
    query: Option<&'a [u8]>,
    authority: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
    length: BodyLength,
    version: Version,
    /// Asterisk, declares a length, close, expects 100, upgrade.
    flags: [bool; 5],
}

impl Request<'_> {
    fn of(head: &RequestHead) -> Request<'_> {
        Request {
            method: head.method(),
            path: head.path(),
            query: head.query(),
            authority: head.authority(),
            // An absolute-form target overrules `Host`, which is not written again.
            fields: without_host(&head.fields).collect(),
            length: head.length,
            version: head.version,
            flags: [
                head.is_asterisk(),
                head.declares_length,
                head.close,
                head.expects_continue,
                head.upgrade,
            ],
        }
    }
}

fn without_host(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = fields.iter().map(|field| (field.name, field.value));
    pairs.filter(|(name, _)| !name.eq_ignore_ascii_case(b"host"))
}

fn write_request(head: &RequestHead) -> Vec<u8> {
    let version = format!(" HTTP/{}\r\n", head.version.as_str());
    let mut out = [head.method(), b" ", head.path()].concat();
    if let Some(query) = head.query() {
        out.extend([b"?", query].concat());
    }
    out.extend(version.into_bytes());
    if !head.authority().is_empty() {
        out.extend([b"Host: ", head.authority(), b"\r\n"].concat());
    }
    for (name, value) in without_host(&head.fields) {
        out.extend([name, b": ", value, b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    out
}

fn shown_response(head: &ResponseHead) -> String {
    let fields: Vec<_> = head.fields.iter().map(|field| (field.name, field.value)).collect();
    let ResponseHead { status, version, length, declared, .. } = head;
    format!("{status} {version:?} {length:?} {declared:?} {fields:?}")
}
