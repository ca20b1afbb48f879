//! Bytes that have fooled HTTP servers and proxies, each with the CVE it stands for.
//!
//! Plain data: a runner sends the bytes and compares. The gateway under test listens on plain HTTP,
//! is reached from 127.0.0.1, trusts no peer's forwarding fields, and has four routes: `/{*rest}`
//! and `/public/{*rest}` go to an origin that records and echoes what it reads; `/admin/{*rest}`,
//! and every path of the host `private.example`, are answered with 403. A name is `class/case`.
//! Whatever an attack tries to slip past the gateway carries the word `smuggled`.

mod chunks;
mod fields;
mod forwarding;
mod framing;
mod paths;
mod replies;
mod request_line;

pub(crate) use replies::REPLIES;
pub(crate) use request_line::HTTP2_PREFACE;

/// What one client sends on one connection, and what must come of it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub name: &'static str,
    /// The CVEs that this very mistake has had, or `class of ...` where ours is a near relative.
    pub cve: &'static str,
    pub bytes: &'static [u8],
    pub expect: Expect,
}

#[derive(Clone, Copy)]
pub(crate) enum Expect {
    /// This status, once, then the connection is closed. The origin saw nothing.
    Refused(u16),
    /// The head is good and the body is not: this status, then the connection is closed. The origin
    /// may hold the head and the good part of the body, but never a whole request and never the
    /// word `smuggled`.
    Cut(u16),
    /// What the origin reads in the end, lower-cased. Fields are written `name: value`.
    Forwarded { must_contain: &'static [&'static str], must_not_contain: &'static [&'static str] },
    /// Exactly one answer, with this status, from a route that never asks the origin. The origin
    /// saw nothing; the connection may stay open.
    Answered(u16),
    /// The gateway takes it for another version and finds no sense in it: the connection is closed
    /// without any answer of HTTP/1.1. The origin saw nothing.
    Closed,
}

/// What the origin writes, before it closes its side, to a request that the gateway has passed on.
#[derive(Clone, Copy)]
pub(crate) struct ReplyCase {
    pub name: &'static str,
    pub cve: &'static str,
    pub request: &'static [u8],
    pub reply: &'static [u8],
    pub expect: ReplyExpect,
}

#[derive(Clone, Copy)]
pub(crate) enum ReplyExpect {
    /// The client reads a 502 of the gateway's own.
    BadGateway,
    /// A 502, or the head and the good part of the body and then a close that leaves the reply
    /// visibly incomplete. Never the word `smuggled`.
    Cut,
    /// What the client reads, lower-cased, interim replies included. The origin's connection is not
    /// used again when bytes are left on it: the next request on the client's connection must not
    /// read `smuggled` either.
    Passed {
        status: u16,
        must_contain: &'static [&'static str],
        must_not_contain: &'static [&'static str],
    },
}

const GROUPS: &[&[Case]] = &[
    request_line::CASES,
    fields::CASES,
    framing::CASES,
    chunks::CASES,
    forwarding::CASES,
    paths::CASES,
];

/// Every request case, in the order of the files.
pub(crate) const REQUESTS: &[Case] = &joined::<{ count(GROUPS) }>(GROUPS);

const fn count(groups: &[&[Case]]) -> usize {
    let (mut sum, mut group) = (0, 0);
    while group < groups.len() {
        sum += groups[group].len();
        group += 1;
    }
    sum
}

const fn joined<const N: usize>(groups: &[&[Case]]) -> [Case; N] {
    let mut all = [groups[0][0]; N];
    let (mut next, mut group) = (0, 0);
    while group < groups.len() {
        let mut index = 0;
        while index < groups[group].len() {
            all[next] = groups[group][index];
            next += 1;
            index += 1;
        }
        group += 1;
    }
    all
}

const fn refused(status: u16, name: &'static str, cve: &'static str, bytes: &'static [u8]) -> Case {
    let expect = Expect::Refused(status);
    Case { name, cve, bytes, expect }
}

const fn cut(status: u16, name: &'static str, cve: &'static str, bytes: &'static [u8]) -> Case {
    let expect = Expect::Cut(status);
    Case { name, cve, bytes, expect }
}

const fn answered(
    status: u16,
    name: &'static str,
    cve: &'static str,
    bytes: &'static [u8],
) -> Case {
    let expect = Expect::Answered(status);
    Case { name, cve, bytes, expect }
}

const fn closed(name: &'static str, cve: &'static str, bytes: &'static [u8]) -> Case {
    let expect = Expect::Closed;
    Case { name, cve, bytes, expect }
}

const fn forwarded(
    name: &'static str,
    cve: &'static str,
    bytes: &'static [u8],
    must_contain: &'static [&'static str],
    must_not_contain: &'static [&'static str],
) -> Case {
    let expect = Expect::Forwarded { must_contain, must_not_contain };
    Case { name, cve, bytes, expect }
}
