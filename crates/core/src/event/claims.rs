//! Claims in a line of the access log: names from the configuration, values from whoever calls.

use std::fmt;

/// Most bytes of a value that are written, before they are escaped.
const MOST: usize = 256;

/// What of a caller's token is told in the log.
pub trait ToldClaims: fmt::Debug {
    /// Calls `each` with the name and the text of every claim that is there, one claim after the
    /// other; for a list with each of its items.
    fn each(&self, each: &mut dyn FnMut(&str, &[u8]));
}

/// Appends `,"claims":{"name":"value",…}`, or nothing if there is none. The items of a list have
/// commas between them; what is too long is cut off.
pub(super) fn write(told: &dyn ToldClaims, out: &mut Vec<u8>) {
    let begin = out.len();
    let mut last = (begin, begin);
    let mut left = 0;
    told.each(&mut |name, value| {
        if last.0 > begin && out.get(last.0..last.1) == Some(name.as_bytes()) {
            add(b",", &mut left, out);
        } else {
            out.extend_from_slice(if last.0 > begin { b"\",\"" } else { b",\"claims\":{\"" });
            last.0 = out.len();
            // Names are checked with the configuration: they need no escaping.
            out.extend_from_slice(name.as_bytes());
            last.1 = out.len();
            out.extend_from_slice(b"\":\"");
            left = MOST;
        }
        add(value, &mut left, out);
    });
    if last.0 > begin {
        out.extend_from_slice(b"\"}");
    }
}

fn add(value: &[u8], left: &mut usize, out: &mut Vec<u8>) {
    let value = &value[..value.len().min(*left)];
    *left -= value.len();
    super::escape(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Told(&'static [(&'static str, &'static [u8])]);

    impl ToldClaims for Told {
        fn each(&self, each: &mut dyn FnMut(&str, &[u8])) {
            self.0.iter().for_each(|(name, value)| each(name, value));
        }
    }

    fn written(told: &'static [(&'static str, &'static [u8])]) -> String {
        let mut out = b"{".to_vec();
        write(&Told(told), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn claims_are_an_object_of_texts() {
        assert_eq!(written(&[]), "{");
        assert_eq!(written(&[("tenant", b"acme")]), "{,\"claims\":{\"tenant\":\"acme\"}");
        assert_eq!(
            written(&[("a", b"1"), ("a", b"2"), ("aa", b"3")]),
            "{,\"claims\":{\"a\":\"1,2\",\"aa\":\"3\"}"
        );
    }

    #[test]
    fn hostile_values_stay_inside_their_string() {
        assert_eq!(
            written(&[("a", b"\"},\n\\\xff")]),
            "{,\"claims\":{\"a\":\"\\\"},\\u000a\\\\\u{fffd}\"}"
        );
    }

    #[test]
    fn long_values_are_cut_off() {
        let line = written(&[("a", &[b'x'; 200]), ("a", &[b'y'; 200]), ("b", b"z")]);
        assert_eq!((line.matches('x').count(), line.matches('y').count()), (200, 55));
        assert!(line.ends_with("y\",\"b\":\"z\"}"), "{line}");
    }
}
