use portcullis_config::model::EncodedSlash::{Decode, Keep, Reject};
use proptest::prelude::*;

use super::*;

const DEFAULT: PathPolicy = PathPolicy { merge_slashes: true, encoded_slash: Keep };

fn normal(raw: &[u8], policy: PathPolicy) -> Result<Vec<u8>, PathFault> {
    let mut out = b"from before".to_vec();
    Ok(match normalise(raw, policy, &mut out)? {
        Normal::AsIs => raw.to_vec(),
        Normal::Rewritten => out,
    })
}

fn check(policy: PathPolicy, cases: &[(&str, &str)]) {
    for (raw, expected) in cases {
        let found = normal(raw.as_bytes(), policy);
        assert_eq!(found.as_deref(), Ok(expected.as_bytes()), "{raw}");
    }
}

#[test]
fn paths_become_normal() {
    check(
        DEFAULT,
        &[
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/../c", "/a/c"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/./././", "/"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/%61%7Eb%2d", "/a~b-"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb", "/a%5Cb"),
            ("/%3a%20%c3%a9", "/%3A%20%C3%A9"),
            ("/%252e%252e/x", "/%252e%252e/x"),
            ("/.well-known/x", "/.well-known/x"),
            ("/...", "/..."),
            ("/a..b/..c/d..", "/a..b/..c/d.."),
            ("/a;v=1/b;..", "/a;v=1/b;.."),
            ("/a//../b", "/b"),
            ("/{a}|^\"<>`", "/{a}|^\"<>`"),
        ],
    );
}

#[test]
fn normal_paths_are_not_copied() {
    for raw in ["/", "/a/b.c/d", "/a%20b/%2F", "/.hidden", "/a..", "/a/b/"] {
        let mut out = Vec::new();
        assert_eq!(normalise(raw.as_bytes(), DEFAULT, &mut out), Ok(Normal::AsIs), "{raw}");
    }
}

#[test]
fn slashes_follow_the_policy() {
    let cases = [
        ("//a//b/", "//a//b/"),
        ("/a//../b", "/a/b"),
        ("/a/..//b", "//b"),
        ("//..", "/"),
        ("/a/.//b", "/a//b"),
    ];
    check(PathPolicy { merge_slashes: false, encoded_slash: Keep }, &cases);
    let cases =
        [("/a%2fb", "/a/b"), ("/a%2F%2fb", "/a/b"), ("/a%2F..%2fb", "/b"), ("/a/%2F", "/a/")];
    check(PathPolicy { merge_slashes: true, encoded_slash: Decode }, &cases);
    let cases = [("/a%2F%2fb", "/a//b"), ("/%2Fa", "//a")];
    check(PathPolicy { merge_slashes: false, encoded_slash: Decode }, &cases);
    let reject = PathPolicy { merge_slashes: true, encoded_slash: Reject };
    assert_eq!(normal(b"/a%2fb", reject), Err(PathFault::EncodedSlash));
    check(reject, &[("/a%5cb", "/a%5Cb")]);
}

#[test]
fn dangerous_paths_are_refused() {
    let cases: &[(&[u8], PathFault)] = &[
        (b"", PathFault::NotAbsolute),
        (b"*", PathFault::NotAbsolute),
        (b"a/b", PathFault::NotAbsolute),
        (b"/%", PathFault::BadEscape),
        (b"/%4", PathFault::BadEscape),
        (b"/%4g", PathFault::BadEscape),
        (b"/%+1", PathFault::BadEscape),
        (b"/%u002e", PathFault::BadEscape),
        (b"/a%00", PathFault::EncodedNul),
        (b"/a b", PathFault::IllegalByte(b' ')),
        (b"/a\tb", PathFault::IllegalByte(b'\t')),
        (b"/a\0b", PathFault::IllegalByte(0)),
        (b"/a\x7fb", PathFault::IllegalByte(0x7f)),
        (b"/a\xc3\xa9", PathFault::IllegalByte(0xc3)),
        (b"/a\\b", PathFault::IllegalByte(b'\\')),
        (b"/a#b", PathFault::IllegalByte(b'#')),
        (b"/a?b", PathFault::IllegalByte(b'?')),
        (b"/..", PathFault::AboveRoot),
        (b"/../a", PathFault::AboveRoot),
        (b"/a/../../b", PathFault::AboveRoot),
        (b"/%2e%2e", PathFault::AboveRoot),
        (b"//..", PathFault::AboveRoot),
        (b"/a/..;/b", PathFault::DotParameter),
        (b"/a/..;v=1/b", PathFault::DotParameter),
        (b"/a/.;/b", PathFault::DotParameter),
        (b"/a/%2e%2e;x", PathFault::DotParameter),
        (b"/a/..%3b/b", PathFault::DotParameter),
        (b"/a/..%2fb", PathFault::HiddenDots),
        (b"/a/b%2f..", PathFault::HiddenDots),
        (b"/a/b%2F%2e%2e%2fc", PathFault::HiddenDots),
        (b"/a/..%5cb", PathFault::HiddenDots),
        (b"/a/b%5C..%5cc", PathFault::HiddenDots),
    ];
    for (raw, fault) in cases {
        assert_eq!(normal(raw, DEFAULT), Err(*fault), "{}", raw.escape_ascii());
    }
}

fn policies() -> impl Strategy<Value = PathPolicy> {
    let slashes = prop_oneof![Just(Keep), Just(Reject), Just(Decode)];
    (any::<bool>(), slashes)
        .prop_map(|(merge_slashes, encoded_slash)| PathPolicy { merge_slashes, encoded_slash })
}

/// Paths made of the pieces that matter, so that most cases are not simply refused.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", "a", "b", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "%41", "%25", "2e",
        "%3b", ";", "%c3", "~", "%7e", "%", "%0a",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn twice_is_once(raw in paths(), policy in policies()) {
        if let Ok(once) = normal(raw.as_bytes(), policy) {
            prop_assert_eq!(normal(&once, policy), Ok(once.clone()), "{}", once.escape_ascii());
        }
    }

    #[test]
    fn results_keep_their_promises(raw in paths(), policy in policies()) {
        let Ok(once) = normal(raw.as_bytes(), policy) else { return Ok(()) };
        let text = String::from_utf8(once).unwrap();
        prop_assert!(text.starts_with('/'));
        prop_assert!(!policy.merge_slashes || !text.contains("//"));
        prop_assert!(policy.encoded_slash == Keep || !text.contains("%2F"));
        prop_assert!(!text.contains("%2f") && !text.contains("%41") && !text.contains("%7"));
        for part in text.replace("%2F", "/").replace("%5C", "/").split('/') {
            prop_assert_ne!(part, "..");
        }
        prop_assert!(text.split('/').all(|part| part != "." && !part.starts_with("..;")));
    }

    #[test]
    fn no_bytes_break_it(raw in prop::collection::vec(any::<u8>(), 0..40), policy in policies()) {
        let path = [b"/", &raw[..]].concat();
        if let Ok(once) = normal(&path, policy) {
            prop_assert_eq!(normal(&once, policy), Ok(once.clone()));
        }
    }
}
