//! One key of a set (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use zeroize::Zeroizing;

use super::KeyError;
use super::key::{Curve, Key};
use crate::algorithm::Algorithm;
use crate::base64url;
use crate::json::{Object, Value};

/// Reads a key. Members that are not known, and private ones, are not looked at.
pub(super) fn read(jwk: Object<'_>, symmetric: bool) -> Result<Key, KeyError> {
    let kind = text(jwk, "kty")?.ok_or(KeyError::Kind)?;
    if text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyError::Use);
    }
    check_operations(jwk)?;
    let only = match text(jwk, "alg")? {
        Some(name) => Some(name.parse::<Algorithm>().map_err(|_| KeyError::Algorithm)?),
        None => None,
    };
    let key = match kind {
        "RSA" => Key::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?, only),
        "EC" => Key::ec(curve(jwk)?, &bytes(jwk, "x")?, &bytes(jwk, "y")?, only),
        "OKP" if text(jwk, "crv")? == Some("Ed25519") => Key::ed25519(&bytes(jwk, "x")?, only),
        "OKP" => Err(KeyError::Curve),
        "oct" if !symmetric => Err(KeyError::Symmetric),
        "oct" => Key::shared(&bytes(jwk, "k")?, only),
        _ => Err(KeyError::Kind),
    }?;
    Ok(key.named(text(jwk, "kid")?))
}

fn curve(jwk: Object<'_>) -> Result<Curve, KeyError> {
    match text(jwk, "crv")? {
        Some("P-256") => Ok(Curve::P256),
        Some("P-384") => Ok(Curve::P384),
        Some("P-521") => Ok(Curve::P521),
        _ => Err(KeyError::Curve),
    }
}

fn check_operations(jwk: Object<'_>) -> Result<(), KeyError> {
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::List(operations)) => {
            let verifies = operations.iter().any(|value| value.as_str() == Some("verify"));
            if verifies { Ok(()) } else { Err(KeyError::Operations) }
        }
        Some(_) => Err(KeyError::Member { member: "key_ops" }),
    }
}

pub(super) fn text<'j>(jwk: Object<'j>, member: &'static str) -> Result<Option<&'j str>, KeyError> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::Member { member }),
    }
}

/// The bytes of a member, which may be secret.
fn bytes(jwk: Object<'_>, member: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let bytes = text(jwk, member)?.and_then(|text| base64url::decode(text.as_bytes()));
    let bytes = bytes.filter(|bytes| !bytes.is_empty());
    bytes.map(Zeroizing::new).ok_or(KeyError::Member { member })
}
