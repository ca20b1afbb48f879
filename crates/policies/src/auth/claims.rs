//! Claims: what they grant, and how services are told of them.

use portcullis_config::model::Name;
use portcullis_jose::{ClaimPath, Claims, Value};
use portcullis_wire::RequestHead;

use crate::identity::Granted;

/// Most of a subject that is shown.
const MOST_SHOWN: usize = 128;

/// Scopes, and roles from wherever the issuer writes them.
pub(super) fn granted(claims: &Claims, roles_at: &[ClaimPath]) -> Granted {
    let mut roles = Vec::new();
    for value in roles_at.iter().filter_map(|path| claims.at(path)) {
        match value {
            Value::Text(text) => roles.extend(text.split(' ').map(Box::from)),
            Value::List(list) => {
                roles.extend(list.iter().filter_map(Value::as_str).map(Box::from));
            }
            _ => {}
        }
    }
    Granted { scopes: claims.scopes().map(Box::from).collect(), roles }
}

/// The subject as it may be shown.
pub(super) fn subject(claims: &Claims) -> Box<str> {
    let subject = claims.subject().unwrap_or_default();
    let subject = subject.chars().filter(|char| !char.is_control()).take(MOST_SHOWN);
    subject.collect::<String>().into()
}

/// Takes out what the client has sent under the names of fields that claims are written to.
pub(super) fn take_out(headers: &[(Name, ClaimPath)], request: &mut RequestHead) {
    if !headers.is_empty() {
        let taken = |name: &[u8]| headers.iter().any(|(header, _)| is_same(name, header));
        request.fields.retain(|field| !taken(field.name));
    }
}

/// Writes claims to fields. `text` is working memory.
pub(super) fn write(
    headers: &[(Name, ClaimPath)],
    claims: &Claims,
    request: &mut RequestHead,
    text: &mut Vec<u8>,
) {
    for (name, path) in headers {
        text.clear();
        if claims.at(path).is_some_and(|value| write_value(value, text)) {
            request.fields.push(name.as_bytes(), text);
        }
    }
}

/// Whether a service may take one name for the other: many read `_` as `-`.
pub(crate) fn is_same(name: &[u8], header: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == header.len()
        && name.iter().zip(header.bytes()).all(|(one, other)| plain(*one) == plain(other))
}

/// Writes a claim as the value of a field: texts, numbers and truth values as they are, those of a
/// list with commas between them. Nothing else can be one, nor what has control characters.
pub(super) fn write_value(value: Value<'_>, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Text(text) => {
            if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
                return false;
            }
            out.extend_from_slice(text.trim_matches(' ').as_bytes());
        }
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Number(_) => {
            let Some(number) = value.as_i64() else { return false };
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Value::List(list) => {
            for item in list.iter() {
                if matches!(item, Value::List(_)) {
                    return false;
                }
                if !out.is_empty() {
                    out.extend_from_slice(b", ");
                }
                if !write_value(item, out) {
                    return false;
                }
            }
        }
        Value::Null | Value::Object(_) => return false,
    }
    !out.is_empty()
}
