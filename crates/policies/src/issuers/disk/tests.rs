use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{KeyOrigin, StoreTls};
use portcullis_jose::{Algorithm, Algorithms, Signer};

use super::*;

/// A folder that is gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("portcullis-issuers-{}-{:x}", std::process::id(), fastrand::u64(..));
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn issuer(name: &str, url: &str) -> Issuer {
    Issuer {
        name: name.into(),
        issuer: "https://issuer/".into(),
        keys: KeyOrigin::Address(url.parse().unwrap()),
        algorithms: Algorithms::asymmetric(),
        refresh: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        max_size: 65536,
        max_keys: 100,
        tls: StoreTls { ca: None, certificate: None },
    }
}

fn document() -> Value {
    let mut key = Signer::generate(Algorithm::Es256).unwrap().public_jwk().unwrap();
    key["d"] = "c2VjcmV0".into();
    json!({"keys": [key, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "unknown", "x": [1]}]})
}

#[test]
fn keys_are_found_again_and_no_secret_is_written() {
    let folder = Folder::new();
    let issuer = issuer("a/../b", "https://issuer/keys");
    assert!(read(&folder.0, &issuer).unwrap().is_none());
    write(&folder.0, &issuer, document().to_string().as_bytes(), 17).unwrap();
    let kept = read(&folder.0, &issuer).unwrap().unwrap();
    assert_eq!((kept.set.keys().len(), kept.fetched), (1, 17));
    let file = folder.0.join("issuers").join("a%2f%2e%2e%2fb.json");
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("c2VjcmV0"), "{text}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn keys_of_another_origin_are_not_used() {
    let folder = Folder::new();
    let before = issuer("a", "https://issuer/keys");
    write(&folder.0, &before, document().to_string().as_bytes(), 17).unwrap();
    assert!(read(&folder.0, &issuer("a", "https://other/keys")).unwrap().is_none());
    let renamed = Issuer { issuer: "https://other/".into(), ..before.clone() };
    assert!(read(&folder.0, &renamed).unwrap().is_none());
    let written = Issuer { keys: KeyOrigin::Set(Arc::from(&b"{}"[..])), ..before };
    assert!(read(&folder.0, &written).unwrap().is_none());
}

#[test]
fn a_broken_file_is_an_error_and_no_panic() {
    let folder = Folder::new();
    let issuer = issuer("a", "https://issuer/keys");
    write(&folder.0, &issuer, document().to_string().as_bytes(), 17).unwrap();
    for text in ["", "{", "[]", "null", r#"{"issuer":"https://issuer/"}"#] {
        fs::write(path(&folder.0, &issuer), text).unwrap();
        assert!(!read(&folder.0, &issuer).is_ok_and(|kept| kept.is_some()), "{text}");
    }
    let broken = json!({"issuer": "https://issuer/", "origin": "https://issuer/keys", "keys": 1});
    fs::write(path(&folder.0, &issuer), broken.to_string()).unwrap();
    assert!(read(&folder.0, &issuer).is_err());
}
