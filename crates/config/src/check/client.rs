//! The gateway as a client of OAuth.

use portcullis_jose::{Algorithm, Signer};

use super::Scope;
use crate::model::{ClientProof, Name, OauthClient, Secret};
use crate::raw::{ClientProofSpec, ClientSpec, Spanned};

/// The longest id.
const LONGEST_ID: usize = 1024;

pub(super) fn client(written: &Spanned<ClientSpec>, scope: &mut Scope<'_>) -> OauthClient {
    let spec = &written.value;
    let id = spec.id.as_str();
    // The characters of RFC 6749, A.1.
    let legal =
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !legal && !scope.incomplete {
        let shown = spec.id.shown();
        scope.fault(spec.id.span, format!("{shown} is no client's id"));
    }
    OauthClient { id: id.into(), proof: proof(written, scope) }
}

fn proof(written: &Spanned<ClientSpec>, scope: &mut Scope<'_>) -> ClientProof {
    let spec = &written.value;
    let usual = match (&spec.secret, &spec.private_key) {
        (Some(_), _) => ClientProofSpec::ClientSecretBasic,
        (None, Some(_)) => ClientProofSpec::PrivateKeyJwt,
        (None, None) => ClientProofSpec::None,
    };
    let way = spec.auth.as_ref().map_or(usual, |auth| auth.value);
    let keyed = way == ClientProofSpec::PrivateKeyJwt;
    let secret =
        matches!(way, ClientProofSpec::ClientSecretBasic | ClientProofSpec::ClientSecretPost);
    let idle = [
        ("secret", spec.secret.as_ref().map(|one| one.span), secret),
        ("private_key", spec.private_key.as_ref().map(|one| one.span), keyed),
        ("algorithm", spec.algorithm.as_ref().map(|one| one.span), keyed),
        ("key_id", spec.key_id.as_ref().map(|one| one.span), keyed),
    ];
    for (name, at, used) in idle {
        if let Some(at) = at.filter(|_| !used && !scope.incomplete) {
            scope.fault(at, format!("this client has no use for its `{name}`"));
        }
    }
    let auth = spec.auth.as_ref().map_or(written.span, |auth| auth.span);
    match way {
        ClientProofSpec::None => ClientProof::None,
        ClientProofSpec::PrivateKeyJwt => key(spec, auth, scope),
        ClientProofSpec::ClientSecretBasic | ClientProofSpec::ClientSecretPost => {
            let text = spec.secret.as_ref().map_or("", |secret| secret.as_str());
            if text.is_empty() && !scope.incomplete {
                scope.fault(auth, "this client needs a `secret`");
            }
            if let Some(written) = spec.secret.as_ref().filter(|_| !scope.incomplete) {
                characters(written, scope);
            }
            let secret = Secret::new(text);
            if way == ClientProofSpec::ClientSecretPost {
                ClientProof::Post(secret)
            } else {
                ClientProof::Basic(secret)
            }
        }
    }
}

/// Says of a secret that providers may not take it: RFC 6749, A.2, has spaces and visible ASCII
/// alone. It is sent nevertheless, in UTF-8, as some providers want it. The secret itself is not told.
fn characters(written: &Spanned<String>, scope: &mut Scope<'_>) {
    let odd = |one: &char| !(' '..='~').contains(one);
    let Some(at) = written.as_str().chars().position(|one| odd(&one)) else { return };
    let message = "this secret has a character that OAuth does not know in secrets";
    scope.warn(written.span, message).label =
        format!("character {} is neither visible ASCII nor a space (RFC 6749, A.2)", at + 1);
}

fn key(spec: &ClientSpec, auth: crate::node::Span, scope: &mut Scope<'_>) -> ClientProof {
    let algorithm = match &spec.algorithm {
        None => Algorithm::Rs256,
        Some(written) => match written.as_str().parse::<Algorithm>() {
            Ok(algorithm) if !algorithm.is_symmetric() => algorithm,
            _ => {
                let shown = written.shown();
                scope.fault(written.span, format!("{shown} is no algorithm of private keys"));
                Algorithm::Rs256
            }
        },
    };
    let kid: Option<Name> = spec.key_id.as_ref().map(|kid| kid.as_str().into());
    let pem = spec.private_key.as_ref();
    match pem {
        None if !scope.incomplete => {
            scope.fault(auth, "this client needs a `private_key`");
        }
        Some(written) if !scope.incomplete => {
            let made = Signer::from_pem(written.as_str().as_bytes(), algorithm, kid.as_deref());
            if let Err(error) = made {
                scope.fault(written.span, "this private key cannot be used").label =
                    error.to_string();
            }
        }
        _ => {}
    }
    let pem = Secret::new(pem.map_or("", |pem| pem.as_str()));
    ClientProof::Key { pem, algorithm, kid }
}
