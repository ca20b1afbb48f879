//! Where a credential may stand in a request.

use portcullis_config::model::{KeyPart, KeyPlace};
use portcullis_wire::RequestHead;

use super::after_scheme;
use crate::hide;
use crate::key::Facts;

/// A place where a credential may stand.
#[derive(Debug)]
pub(super) struct Place {
    part: KeyPart,
    /// What stands before the credential.
    pub(super) scheme: Option<Box<str>>,
}

/// The places of a configuration.
pub(super) fn places(written: &[KeyPlace]) -> Box<[Place]> {
    let place = |place: &KeyPlace| match place {
        KeyPlace::Header(name, scheme) => {
            Place { part: KeyPart::Header(name.clone()), scheme: scheme.as_deref().map(Box::from) }
        }
        KeyPlace::Query(name) => Place { part: KeyPart::Query(name.clone()), scheme: None },
        KeyPlace::Cookie(name) => Place { part: KeyPart::Cookie(name.clone()), scheme: None },
    };
    written.iter().map(place).collect()
}

impl Place {
    /// The credential in the value of a field; none if it has another scheme.
    pub(super) fn credential<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        match &self.scheme {
            None => Some(value),
            Some(scheme) => after_scheme(value, scheme),
        }
    }

    /// Calls `each` with whatever stands there.
    pub(super) fn each(&self, facts: &impl Facts, each: &mut dyn FnMut(&[u8])) {
        match &self.part {
            KeyPart::Header(name) => facts.header(name, each),
            part => facts.values(part, each),
        }
    }

    /// Takes out of the request what stands there. `text` is working memory.
    pub(super) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        match &self.part {
            KeyPart::Header(name) => request.fields.retain(|field| {
                !field.name.eq_ignore_ascii_case(name.as_bytes())
                    || self.credential(field.value).is_none()
            }),
            KeyPart::Query(name) => hide::query(request, name.as_bytes(), text),
            KeyPart::Cookie(name) => hide::cookie(request, name.as_bytes(), text),
            _ => {}
        }
    }
}
