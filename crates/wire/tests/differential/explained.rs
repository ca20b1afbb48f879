//! Every difference from hyper that is meant, and why. A difference that no entry explains is a bug
//! of ours or a new entry, with its reason.
//!
//! We stand between parsers that we do not know, so what any two of them could read differently is
//! refused; hyper speaks for itself alone and can afford to be lenient. An entry looks for the
//! reason in what hyper understood or in the input, not only at our error.

use portcullis_wire::Malformed;

use super::compare::Difference;
use super::seen::{End, Message};

mod evidence;

use evidence::{
    content_length_lines, doubtful_target, has_bare_lf, is_plain_authority, is_plain_length,
    line_end_before, non_ascii_connection, odd_size_line,
};

/// A difference that is meant.
pub(crate) struct Explanation {
    pub(crate) name: &'static str,
    /// Whether it explains the difference that the input shows.
    pub(crate) holds: fn(&Difference<'_>, &[u8]) -> bool,
}

pub(crate) const REQUESTS: &[Explanation] = &[
    LINE_ENDS,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    BOTH_LENGTHS,
    CHUNKS,
    Explanation {
        // RFC 9112, 2.2 lets a server skip "at least one" empty line; we skip just one. Bytes that
        // are skipped are room to hide in.
        name: "more than one empty line before a request",
        holds: |difference, input| {
            refused(difference, Malformed::StartLine)
                .is_some_and(|message| line_end_before(input, word(message, 0)))
        },
    },
    Explanation {
        // A client that ends after a line end too many (RFC 9112, 2.2 knows of such) gets no answer
        // from either of us.
        name: "a line end behind the last request",
        holds: |difference, input| {
            let Difference::Ends { ours, theirs: End::Clean } = difference else { return false };
            let line_end = matches!(ours, End::Truncated | End::Refused(Malformed::LineEnd));
            line_end && matches!(input.last(), Some(b'\r' | b'\n'))
        },
    },
    Explanation {
        // No registered method has even half of our 48 bytes.
        name: "a very long method",
        holds: |difference, _| {
            refused(difference, Malformed::StartLine)
                .is_some_and(|message| word(message, 0).len() > 48)
        },
    },
    Explanation {
        // RFC 9112, 3.2 demands 400 when `Host` is missing, doubled or bad. hyper leaves that to
        // the application; we route by it.
        name: "Host missing, doubled or bad",
        holds: |difference, _| {
            refused(difference, Malformed::Host).is_some_and(|message| {
                let hosts: Vec<_> = message.values("host").collect();
                let good = hosts.len() == 1 && hosts.iter().all(|host| is_plain_authority(host));
                !good || !is_plain_authority(word(message, 1))
            })
        },
    },
    Explanation {
        // A gateway is no tunnel.
        name: "CONNECT",
        holds: |difference, _| {
            refused(difference, Malformed::Connect)
                .is_some_and(|message| word(message, 0) == b"CONNECT")
        },
    },
    Explanation {
        // hyper drops a fragment and takes bytes beyond ASCII, other schemes, and `*` for any
        // method. Routes would be matched against something else than the origin sees.
        name: "a target in none of the forms of RFC 9112, 3.2",
        holds: |difference, input| {
            refused(difference, Malformed::Target)
                .is_some_and(|message| doubtful_target(input, word(message, 0)))
        },
    },
    Explanation {
        // RFC 9110, 9.3.8: a client must not send content with TRACE, and origins that expect none
        // leave it on the connection.
        name: "TRACE with content",
        holds: |difference, _| {
            refused(difference, Malformed::UnexpectedContent)
                .is_some_and(|message| word(message, 0) == b"TRACE")
        },
    },
    Explanation {
        // hyper ignores a `Connection` field with any byte beyond ASCII. We look for `close` all
        // the same: to end a connection too early is safe.
        name: "close beside something that is not ASCII",
        holds: |difference, input| {
            let closed = match difference {
                Difference::Stricter { ours, .. } | Difference::Ends { ours, .. } => {
                    **ours == End::Clean
                }
                _ => false,
            };
            closed && non_ascii_connection(input)
        },
    },
    Explanation {
        // RFC 3986 has no place for these bytes, but browsers and scripts send them, all servers
        // read them alike, and nothing is framed or matched by them. nginx passes them on too.
        name: "a target with \" < > or `",
        holds: |difference, _| match difference {
            Difference::Laxer { ours: Some(message), theirs: End::RefusedByHyper(why) } => {
                let odd = |b: &u8| b"\"<>`^{|}\\".contains(b);
                why == "invalid URI" && word(message, 2).iter().any(odd)
            }
            _ => false,
        },
    },
];

pub(crate) const REPLIES: &[Explanation] = &[
    LINE_ENDS,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    BOTH_LENGTHS,
    CHUNKS,
    Explanation {
        // An empty line is forgiven before requests only (RFC 9112, 2.2). Before a reply it is
        // content that some reply before did not own up to.
        name: "empty lines before a reply",
        holds: |difference, input| {
            refused(difference, Malformed::StartLine).is_some() && line_end_before(input, b"HTTP/1")
        },
    },
    Explanation {
        // RFC 9110, 15: statuses are 100 to 599, and others have no class by which to treat them.
        name: "a status beyond 599",
        holds: |difference, _| {
            refused(difference, Malformed::StartLine)
                .is_some_and(|message| message.line.as_slice() >= b"600".as_slice())
        },
    },
    Explanation {
        // Nobody asked to switch, so what follows would go to the wrong reader.
        name: "101 that nobody asked for",
        holds: |difference, _| {
            refused(difference, Malformed::Status).is_some_and(|message| message.line == b"101")
        },
    },
    Explanation {
        // RFC 9112, 6.1 and RFC 9110, 8.6: neither framing field may be in a 1xx or 204. hyper
        // ignores them; a reader that believes them waits for content, or takes the next reply
        // for it.
        name: "framing fields in 1xx or 204",
        holds: |difference, input| {
            let reasons = [
                Malformed::UnexpectedContent,
                Malformed::TransferEncoding,
                Malformed::ContentLength,
            ];
            let interim = input.starts_with(b"HTTP/1.1 10");
            reasons
                .into_iter()
                .filter_map(|reason| refused(difference, reason))
                .any(|message| message.line == b"204" || interim)
        },
    },
];

/// RFC 9112, 2.2 allows a recipient to take a bare LF for a line's end. Those that do and those that
/// do not see different fields (CVE-2019-16785 and its kind), so we never do.
const LINE_ENDS: Explanation = Explanation {
    name: "a bare LF at the end of a line",
    holds: |difference, input| {
        refused(difference, Malformed::LineEnd).is_some() && has_bare_lf(input)
    },
};

/// RFC 9112, 6.3 allows to repair `3, 3` and equal copies, and hyper does, or looks at the field
/// only where it frames. One number of at most 63 bits is all that we take, wherever it stands.
const CONTENT_LENGTH: Explanation = Explanation {
    name: "a Content-Length that is not one plain number",
    holds: |difference, input| {
        refused(difference, Malformed::ContentLength).is_some_and(|message| {
            let plain = message.values("content-length").all(is_plain_length);
            !plain || content_length_lines(input) > 1
        })
    },
};

/// hyper takes any coding whose last member is `chunked`, and in replies others too. We decode none
/// but `chunked`, so we cannot vouch for what any other leaves.
const TRANSFER_ENCODING: Explanation = Explanation {
    name: "a Transfer-Encoding that is not one `chunked` of HTTP/1.1",
    holds: |difference, _| {
        refused(difference, Malformed::TransferEncoding).is_some_and(|message| {
            let codings: Vec<_> = message.values("transfer-encoding").collect();
            let plain = codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked");
            !plain || message.minor == 0
        })
    },
};

/// RFC 9112, 6.3 lets the coding win. It is the oldest way to smuggle, so it is 400.
const BOTH_LENGTHS: Explanation = Explanation {
    name: "Content-Length beside Transfer-Encoding",
    holds: |difference, input| {
        refused(difference, Malformed::BothLengths).is_some_and(|message| {
            message.values("transfer-encoding").next().is_some() && content_length_lines(input) > 0
        })
    },
};

/// hyper takes blanks behind a size, any number of leading zeros and anything for an extension.
/// RFC 9112, 7.1 has none of these, and parsers part over them (CVE-2022-24761, CVE-2025-55315).
const CHUNKS: Explanation = Explanation {
    name: "a chunk's size line that RFC 9112, 7.1 does not have",
    holds: |difference, input| {
        refused(difference, Malformed::Chunk).is_some_and(|message| {
            message.values("transfer-encoding").next().is_some() && odd_size_line(input)
        })
    },
};

/// The message that hyper took, if we refused it for `reason`.
fn refused<'a>(difference: &Difference<'a>, reason: Malformed) -> Option<&'a Message> {
    match difference {
        Difference::Stricter { ours: End::Refused(malformed), theirs } if *malformed == reason => {
            *theirs
        }
        _ => None,
    }
}

/// A word of the message's line.
fn word(message: &Message, at: usize) -> &[u8] {
    message.line.split(|&b| b == b' ').nth(at).unwrap_or_default()
}
