//! The last good set of an issuer on disk, for a start while the issuer cannot be reached. Only
//! public parts of keys are written down.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use portcullis_config::model::Issuer;
use portcullis_jose::{KeySet, KeySetLimits};
use serde_json::{Map, Value, json};

/// What a file has besides the document, at most.
const ROOM: u64 = 16 * 1024;
/// Members of a key that are not public (RFC 7518 section 6, RFC 8037 section 2).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Keys from disk, and when they were fetched, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) set: KeySet,
    pub(super) fetched: u64,
}

/// Writes a set down: whole or not at all.
pub(super) fn write(
    folder: &Path,
    issuer: &Issuer,
    document: &[u8],
    fetched: u64,
) -> io::Result<()> {
    let Some(origin) = issuer.keys.address() else { return Ok(()) };
    let keys = public(serde_json::from_slice(document)?);
    let content = json!({
        "issuer": &*issuer.issuer,
        "origin": origin.as_str(),
        "fetched": fetched,
        "keys": keys,
    });
    let path = path(folder, issuer);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    let new = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)
}

/// Reads the set that was written down last, if it is this issuer's, from where it comes now.
pub(super) fn read(folder: &Path, issuer: &Issuer) -> io::Result<Option<Kept>> {
    let file = match fs::File::open(path(folder, issuer)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(issuer.max_size as u64 + ROOM).read_to_end(&mut text)?;
    let content: Value = serde_json::from_slice(&text)?;
    let is = |member: &str, expected: Option<&str>| {
        expected.is_some() && content.get(member).and_then(Value::as_str) == expected
    };
    let origin = issuer.keys.address().map(|url| url.as_str());
    if !is("issuer", Some(&issuer.issuer)) || !is("origin", origin) {
        return Ok(None);
    }
    let keys = content.get("keys").map(Value::to_string).unwrap_or_default();
    let limits = KeySetLimits {
        bytes: issuer.max_size.saturating_add(ROOM as usize),
        keys: issuer.max_keys,
        symmetric: false,
    };
    let set = KeySet::from_jwks(keys.as_bytes(), limits).map_err(io::Error::other)?;
    let fetched = content.get("fetched").and_then(Value::as_u64).unwrap_or_default();
    Ok((!set.is_empty()).then_some(Kept { set, fetched }))
}

fn path(folder: &Path, issuer: &Issuer) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut name = String::new();
    for byte in issuer.name.bytes() {
        match byte {
            byte if plain(byte) => name.push(byte.into()),
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    folder.join("issuers").join(name + ".json")
}

/// A document without what is not public.
fn public(document: Value) -> Value {
    let strip = |key: Value| -> Option<Value> {
        let Value::Object(members) = key else { return None };
        let members: Map<_, _> =
            members.into_iter().filter(|(name, _)| !PRIVATE.contains(&&**name)).collect();
        (members.get("kty")? != "oct").then_some(Value::Object(members))
    };
    match document {
        Value::Object(mut root) if root.contains_key("keys") => {
            let keys = root.remove("keys").unwrap_or_default();
            let keys = keys.as_array().cloned().unwrap_or_default();
            json!({"keys": keys.into_iter().filter_map(strip).collect::<Vec<_>>()})
        }
        single => json!({"keys": strip(single).into_iter().collect::<Vec<_>>()}),
    }
}

#[cfg(test)]
mod tests;
