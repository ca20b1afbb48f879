//! Authentication: what a request must show so that the gateway knows who calls.

use std::sync::Arc;

use super::{Introspection, Jwt, Name, Oidc};

/// What a scope asks of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// What must be shown; `None` where everybody is `anonymous`.
    pub method: Option<Method>,
    /// The consumer that a request without any credential is from; without one it is refused.
    pub anonymous: Option<Name>,
}

/// A way to tell who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// An API key.
    ApiKey(ApiKey),
    /// A name and a password (RFC 7617).
    Basic(Basic),
    /// A client's certificate.
    Mtls(Mtls),
    /// A JSON Web Token.
    Jwt(Box<Jwt>),
    /// A token that its issuer is asked about.
    Introspection(Box<Introspection>),
    /// A login of a browser.
    Oidc(Arc<Oidc>),
    /// The first of these that is shown and good; at least two.
    AnyOf(Vec<Method>),
    /// Every one of these, for the same consumer; at least two.
    AllOf(Vec<Method>),
}

/// Where an API key stands, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Where it is looked for, in order; at least one place.
    pub from: Vec<KeyPlace>,
    /// The longest that is looked at, in bytes.
    pub longest: usize,
    /// The service sees it.
    pub forward: bool,
    /// What clients are told to be asked by.
    pub realm: Name,
}

/// A place where a key may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPlace {
    /// A field, by its name in lower case; after this scheme, if there is one (`Authorization`).
    Header(Name, Option<Name>),
    /// A query parameter.
    Query(Name),
    /// A cookie.
    Cookie(Name),
}

/// A name and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    /// The longest that is looked at, in bytes.
    pub longest: usize,
    /// The service sees it.
    pub forward: bool,
    /// What clients are told to be asked by.
    pub realm: Name,
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtls {
    /// What clients are told to be asked by.
    pub realm: Name,
}

impl Authentication {
    /// The consumers that it names.
    pub fn consumers(&self) -> impl Iterator<Item = &Name> {
        self.anonymous.iter()
    }

    /// The issuers that it names.
    #[must_use]
    pub fn issuers(&self) -> Vec<Name> {
        let mut issuers = Vec::new();
        if let Some(method) = &self.method {
            method.each(&mut |method| match method {
                Method::Jwt(jwt) => issuers.extend(jwt.issuers.iter().cloned()),
                Method::Introspection(written) => issuers.push(written.issuer.clone()),
                Method::Oidc(oidc) => issuers.push(oidc.issuer.clone()),
                _ => {}
            });
        }
        issuers
    }

    /// The stores that it names.
    #[must_use]
    pub fn stores(&self) -> Vec<Name> {
        let mut stores = Vec::new();
        if let Some(method) = &self.method {
            method.each(&mut |method| {
                if let Method::Oidc(oidc) = method {
                    stores.extend(oidc.session.store.clone());
                }
            });
        }
        stores
    }
}

impl Method {
    /// Calls `each` with this and all that are part of it.
    pub fn each(&self, each: &mut dyn FnMut(&Method)) {
        each(self);
        if let Method::AnyOf(methods) | Method::AllOf(methods) = self {
            methods.iter().for_each(|method| method.each(each));
        }
    }
}
