use serde_json::json;

use super::*;
use crate::testing::{pem, signer};

/// RFC 8037 appendix A.3: the thumbprint of a key of Ed25519, and its signature from appendix A.4.
#[test]
fn the_key_of_rfc_8037_signs_as_there() {
    let seed = base64url::decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pkcs8 =
        [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &seed[..]]
            .concat();
    let text = pem("PRIVATE KEY", &pkcs8);
    let signer = Signer::from_pem(text.as_bytes(), Algorithm::EdDsa, None).unwrap();
    assert_eq!(signer.thumbprint().unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let signature = signer.signature(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    assert_eq!(
        base64url::encode(&signature.unwrap()),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn a_key_must_go_with_its_algorithm() {
    let pkcs8 = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let pkcs8 = pkcs8.to_pkcs8v1().unwrap();
    assert!(Signer::from_pkcs8(pkcs8.as_ref(), Algorithm::Es256, None).is_ok());
    for algorithm in [Algorithm::Es384, Algorithm::Rs256, Algorithm::EdDsa, Algorithm::Hs256] {
        let refused = Signer::from_pkcs8(pkcs8.as_ref(), algorithm, None).unwrap_err();
        assert_eq!(refused, SignerError::Key(algorithm));
    }
    let text = "not a key";
    let refused = Signer::from_pem(text.as_bytes(), Algorithm::Es256, None).unwrap_err();
    assert_eq!(refused, SignerError::Pem);
    assert!(Signer::from_secret(&[7; 31], Algorithm::Hs256, None).is_err());
    assert!(Signer::generate(Algorithm::Rs256).is_err());
}

#[test]
fn only_objects_are_signed() {
    let signer = signer(Algorithm::Es256);
    assert_eq!(signer.sign("JWT", &json!([1])), Err(SignerError::Failed));
    assert_eq!(signer.sign("JWT", &"text"), Err(SignerError::Failed));
}

#[test]
fn what_is_shown_of_a_key_is_public() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512, Algorithm::EdDsa] {
        let jwk = signer(algorithm).public_jwk().unwrap();
        assert!(jwk.get("d").is_none() && jwk["alg"] == algorithm.name() && jwk["use"] == "sig");
        assert_eq!(jwk["kid"].as_str().unwrap().len(), 43);
    }
    assert!(signer(Algorithm::Hs256).public_jwk().is_none());
}
