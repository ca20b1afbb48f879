//! Project Wycheproof's signatures, right ones and crafted ones, with keys read from PEM as a
//! configuration has them and verified as a token's are.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::KeySet;
use crate::algorithm::Algorithm;

/// Checks one signature; what Wycheproof calls acceptable may go either way.
fn check(pem: &str, algorithm: Algorithm, message: &[u8], signature: &[u8], expected: TestResult) {
    let keys = KeySet::from_pem(pem.as_bytes()).unwrap();
    let right = keys.verify(algorithm, None, message, signature).is_ok();
    match expected {
        TestResult::Valid => assert!(right, "{algorithm} {pem}"),
        TestResult::Invalid => assert!(!right, "{algorithm} {pem}"),
        TestResult::Acceptable => {}
    }
}

#[test]
fn ecdsa_signatures() {
    use ecdsa::TestName;
    for (name, algorithm) in [
        (TestName::EcdsaSecp256r1Sha256P1363, Algorithm::Es256),
        (TestName::EcdsaSecp384r1Sha384P1363, Algorithm::Es384),
        (TestName::EcdsaSecp521r1Sha512P1363, Algorithm::Es512),
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                check(&group.pem, algorithm, &test.msg, &test.sig, test.result);
            }
        }
    }
}

#[test]
fn eddsa_signatures() {
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        for test in group.tests {
            check(&group.pem, Algorithm::EdDsa, &test.msg, &test.sig, test.result);
        }
    }
}

#[test]
fn rsa_pkcs1_signatures() {
    use rsa_pkcs1_verify::TestName;
    for (name, algorithm) in [
        (TestName::Rsa2048Sha256, Algorithm::Rs256),
        (TestName::Rsa2048Sha384, Algorithm::Rs384),
        (TestName::Rsa4096Sha512, Algorithm::Rs512),
        (TestName::Rsa8192Sha256, Algorithm::Rs256),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                check(&group.pem, algorithm, &test.msg, &test.sig, test.result);
            }
        }
    }
}

#[test]
fn rsa_pss_signatures() {
    use rsa_pss_verify::TestName;
    for (name, algorithm) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512),
    ] {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                check(&group.pem, algorithm, &test.msg, &test.sig, test.result);
            }
        }
    }
}

/// RFC 7518 section 3.5: the salt is as long as the digest, no shorter.
#[test]
fn rsa_pss_with_another_salt_is_refused() {
    let name = rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen0;
    for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
        // Those that are right with a salt of no bytes.
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            check(&group.pem, Algorithm::Ps256, &test.msg, &test.sig, TestResult::Invalid);
        }
    }
}
