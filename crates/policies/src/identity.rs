//! Who calls: what authentication has found out about a request, for as long as it is served.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_config::model::Name;
use portcullis_core::{AuthOutcome, CredentialKind};
use portcullis_jose::{ClaimPath, Claims, Value};

use crate::auth::Live;

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its stable name.
    pub name: Box<str>,
    /// The groups that it belongs to, in order.
    pub groups: Option<Arc<[Name]>>,
    /// Its plan.
    pub plan: Option<Name>,
    /// What few have and few ask for.
    pub more: Option<Box<More>>,
}

/// What else is known of a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct More {
    /// What others know it by.
    pub id: Option<Name>,
    /// Words to find it by.
    pub tags: Arc<[Name]>,
    /// What else is to be known of it.
    pub metadata: Arc<BTreeMap<String, String>>,
}

impl Consumer {
    /// What others know it by.
    #[must_use]
    pub fn id(&self) -> &str {
        self.more.as_ref().and_then(|more| more.id.as_deref()).unwrap_or(&self.name)
    }

    /// Its groups.
    #[must_use]
    pub fn groups(&self) -> &[Name] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[Name] {
        self.more.as_ref().map_or(&[], |more| &more.tags)
    }

    /// A part of its metadata.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.more.as_ref()?.metadata.get(key).map(String::as_str)
    }
}

/// What a token grants whoever shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Granted {
    /// Scopes (RFC 6749, 3.3).
    pub scopes: Vec<Box<str>>,
    /// Roles, from wherever the issuer writes them.
    pub roles: Vec<Box<str>>,
}

impl Granted {
    /// Bytes that it takes.
    pub(crate) fn memory(&self) -> usize {
        let all = self.scopes.iter().chain(&self.roles);
        all.map(|one| one.len() + size_of::<Box<str>>()).sum::<usize>() + size_of::<Granted>()
    }
}

/// Who calls. It lives as long as its request, in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Identity {
    /// The consumer; none if nobody knows it, or if nobody asked.
    pub consumer: Option<Arc<Consumer>>,
    /// The kind of the credential that tells; none as long as nothing has been found.
    pub kind: Option<CredentialKind>,
    /// What of the credential may be shown: the prefix of a key, a username, the subject of a
    /// certificate or token. Empty if there is nothing.
    pub credential: String,
    /// What the credential grants.
    pub granted: Option<Arc<Granted>>,
    /// What its token says of it.
    pub claims: Option<Claims>,
    /// The kind of the credential that the request has to wait for.
    pub awaited: Option<CredentialKind>,
    /// The session that it is known by.
    pub(crate) session: Option<Arc<Live>>,
    /// Lines that set cookies with the reply.
    pub cookies: Vec<String>,
    /// What came of looking for each kind of credential.
    pub(crate) tried: [Option<AuthOutcome>; CredentialKind::ALL.len()],
}

impl Identity {
    /// Calls `each` with the value of a claim, and with each item of a list, as text. Nothing stands
    /// for objects, for `null`, for what is empty and for numbers that are not whole.
    pub fn claim(&self, path: &ClaimPath, each: &mut dyn FnMut(&[u8])) {
        if let Some(value) = self.claims.as_ref().and_then(|claims| claims.at(path)) {
            each_text(value, each);
        }
    }

    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        self.tried = Default::default();
        self.awaited = None;
        self.forget();
    }

    /// Forgets what was found, but not what was tried.
    pub(crate) fn forget(&mut self) {
        if self.kind.is_none() && self.consumer.is_none() {
            return;
        }
        self.consumer = None;
        self.kind = None;
        self.granted = None;
        self.claims = None;
        self.session = None;
        self.cookies.clear();
        self.credential.clear();
    }

    /// The consumer's name.
    #[must_use]
    pub fn consumer_name(&self) -> Option<&str> {
        self.consumer.as_ref().map(|consumer| &*consumer.name)
    }

    /// The consumer's plan.
    #[must_use]
    pub fn plan(&self) -> Option<&Name> {
        self.consumer.as_ref()?.plan.as_ref()
    }

    /// The consumer's groups.
    #[must_use]
    pub fn groups(&self) -> &[Name] {
        self.consumer.as_ref().map_or(&[], |consumer| consumer.groups())
    }

    /// Whether the credential grants this scope.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.granted.as_ref().is_some_and(|granted| granted.scopes.iter().any(|s| **s == *scope))
    }

    /// Whether the credential grants this role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.granted.as_ref().is_some_and(|granted| granted.roles.iter().any(|r| **r == *role))
    }

    /// What came of looking for each kind of credential that was looked for.
    pub fn tried(&self) -> impl Iterator<Item = (CredentialKind, AuthOutcome)> {
        CredentialKind::ALL.into_iter().zip(self.tried).filter_map(|(kind, out)| Some((kind, out?)))
    }

    /// Who called in the way of `kind`.
    pub(crate) fn found(&mut self, kind: CredentialKind, consumer: Arc<Consumer>, shown: &[&str]) {
        self.consumer = Some(consumer);
        self.kind = Some(kind);
        self.credential.clear();
        shown.iter().for_each(|part| self.credential.push_str(part));
    }
}

fn each_text(value: Value<'_>, each: &mut dyn FnMut(&[u8])) {
    match value {
        Value::Text(text) if !text.is_empty() => each(text.as_bytes()),
        Value::Bool(value) => each(if value { b"true" } else { b"false" }),
        Value::Number(_) => {
            if let Some(number) = value.as_i64() {
                each(itoa::Buffer::new().format(number).as_bytes());
            }
        }
        // Lists in lists say nothing.
        Value::List(list) => list
            .iter()
            .filter(|item| !matches!(item, Value::List(_)))
            .for_each(|item| each_text(item, each)),
        Value::Text(_) | Value::Null | Value::Object(_) => {}
    }
}
