//! Takes parts out of a request that its service is not to see.

use portcullis_wire::{Known, RequestHead};

/// Takes every query parameter of this name out. `text` is memory to work in.
pub(crate) fn query(request: &mut RequestHead, name: &[u8], text: &mut Vec<u8>) {
    let Some(query) = request.query() else { return };
    text.clear();
    let mut hidden = false;
    for pair in query.split(|&byte| byte == b'&') {
        let found = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        if !pair.is_empty() && is(found, name) {
            hidden = true;
            continue;
        }
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend_from_slice(pair);
    }
    if hidden {
        let left = (!text.is_empty()).then_some(&**text);
        request.set_query(left);
    }
}

/// Takes every cookie of this name out. `text` is memory to work in.
pub(crate) fn cookie(request: &mut RequestHead, name: &[u8], text: &mut Vec<u8>) {
    cookies(request, &|found| found == name, text);
}

/// Takes every cookie out whose name is one of these. `text` is memory to work in.
pub fn cookies(request: &mut RequestHead, own: &dyn Fn(&[u8]) -> bool, text: &mut Vec<u8>) {
    let named = |pair: &[u8]| {
        let found = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        pair.contains(&b'=') && own(found.trim_ascii())
    };
    let pairs = |line: &'_ [u8]| line.split(|&byte| byte == b';').any(named);
    if !request.fields.all_known(Known::Cookie).any(pairs) {
        return;
    }
    text.clear();
    for line in request.fields.all_known(Known::Cookie) {
        for pair in line.split(|&byte| byte == b';').filter(|pair| !named(pair)) {
            let pair = pair.trim_ascii();
            if !pair.is_empty() {
                if !text.is_empty() {
                    text.extend_from_slice(b"; ");
                }
                text.extend_from_slice(pair);
            }
        }
    }
    request.fields.retain(|field| field.known != Known::Cookie);
    if !text.is_empty() {
        request.fields.push(b"Cookie", text);
    }
}

/// Whether an encoded name of a parameter is this one.
fn is(encoded: &[u8], name: &[u8]) -> bool {
    if encoded == name {
        return true;
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |at: usize| rest.get(at).and_then(|&d| char::from(d).to_digit(16));
                match (digit(0), digit(1)) {
                    (Some(high), Some(low)) => {
                        rest = &rest[2..];
                        (high * 16 + low) as u8
                    }
                    _ => b'%',
                }
            }
            byte => *byte,
        });
    }
    decoded == name
}
