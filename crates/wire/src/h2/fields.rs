//! Fields between the two forms they have: a map as the `h2` crate wants it, and text with offsets
//! as the rest of the gateway does.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};

use super::names::name;
use crate::h1::writing::may_trail;
use crate::{Field, Fields, Known, Malformed};

/// Takes all fields of a message over.
///
/// # Errors
/// [`Malformed::FieldLine`] for what RFC 9113, 8.2 forbids and the crate lets through.
pub(super) fn take(map: &HeaderMap, fields: &mut Fields) -> Result<(), Malformed> {
    for (name, value) in map {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        if !is_trimmed(value) || !is_token(name) {
            return Err(Malformed::FieldLine);
        }
        fields.push_line(name, value);
    }
    Ok(())
}

/// Whether `name` is a token (RFC 9110, 5.6.2).
pub(super) fn is_token(name: &[u8]) -> bool {
    name.iter().all(|&b| IN_TOKENS[usize::from(b)])
}

/// Whether a byte may stand in a token.
const IN_TOKENS: [bool; 256] = {
    let mut may = [false; 256];
    let others = b"!#$%&'*+-.^_`|~";
    let mut b = 0;
    while b < 128 {
        may[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let mut i = 0;
    while i < others.len() {
        may[others[i] as usize] = true;
        i += 1;
    }
    may
};

/// A value neither begins nor ends with white space (RFC 9113, 8.2.1).
pub(super) fn is_trimmed(value: &[u8]) -> bool {
    let space = |b: Option<&u8>| matches!(b, Some(b' ' | b'\t'));
    !(space(value.first()) || space(value.last()))
}

/// Adds the fields of `fields` for which `keep` says so. Their text is copied once and shared.
pub(super) fn append(
    map: &mut HeaderMap,
    fields: &Fields,
    mut keep: impl FnMut(Field<'_>) -> bool,
) {
    let all = fields.all_text();
    let mut text = None;
    for field in fields.iter() {
        if keep(field) {
            let text = text.get_or_insert_with(|| Bytes::copy_from_slice(all));
            // A value that a parser took is legal; one that the map refuses is left out.
            if let (Some(name), Ok(value)) = (
                name(field.name),
                HeaderValue::from_maybe_shared(text.slice(range_in(all, field.value))),
            ) {
                map.append(name, value);
            }
        }
    }
}

/// Where `part`, which lies in `all`, lies in it.
fn range_in(all: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(all.as_ptr() as usize).min(all.len());
    start..(start + part.len()).min(all.len())
}

/// Adds one field.
pub(super) fn add(map: &mut HeaderMap, written: &[u8], value: Bytes) {
    if let (Some(name), Ok(value)) = (name(written), HeaderValue::from_maybe_shared(value)) {
        map.append(name, value);
    }
}

/// Says how long the content is.
pub(super) fn add_length(map: &mut HeaderMap, length: u64) {
    let digits = Bytes::copy_from_slice(itoa::Buffer::new().format(length).as_bytes());
    if let Ok(value) = HeaderValue::from_maybe_shared(digits) {
        map.insert(http::header::CONTENT_LENGTH, value);
    }
}

/// Trailers as they may be sent.
pub(super) fn trailer_map(trailers: &Fields) -> HeaderMap {
    let mut map = HeaderMap::new();
    if !trailers.is_empty() {
        append(&mut map, trailers, |field| may_trail(field.known, field.name));
    }
    map
}

/// Whether any field belongs to a connection of HTTP/1.1.
pub(super) fn has_of_connection(fields: &Fields) -> bool {
    OF_CONNECTION.iter().any(|&known| fields.has(known))
}

/// Whether a field belongs to a connection of HTTP/1.1 and has no place here (RFC 9113, 8.2.2).
pub(super) fn is_of_connection(known: Known) -> bool {
    OF_CONNECTION.contains(&known)
}

const OF_CONNECTION: [Known; 5] = [
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::TransferEncoding,
    Known::Upgrade,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_made_of_what_rfc_9110_lists() {
        for b in 0..=u8::MAX {
            let listed = b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            assert_eq!(is_token(&[b'a', b]), listed, "{b}");
        }
    }

    #[test]
    fn fields_go_there_and_back() {
        let mut fields = Fields::default();
        fields.push(b"X-One", b"1");
        fields.push(b"set-cookie", b"a=1");
        fields.push(b"Set-Cookie", b"b=2");
        fields.push(b"X-Dropped", b"no");
        let mut map = HeaderMap::new();
        append(&mut map, &fields, |field| field.name != b"X-Dropped");
        let mut back = Fields::default();
        take(&map, &mut back).unwrap();
        let all: Vec<_> = back.iter().map(|field| (field.name, field.value)).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")];
        assert_eq!(all, expected);
    }

    #[test]
    fn values_with_white_space_around_them_are_refused() {
        for value in [" a", "a ", "\ta"] {
            let mut map = HeaderMap::new();
            map.append("x", HeaderValue::from_str(value).unwrap());
            assert_eq!(take(&map, &mut Fields::default()), Err(Malformed::FieldLine));
        }
    }
}
