//! API keys: from wherever they may stand to the consumer whose they are.

use portcullis_config::model;
use portcullis_core::CredentialKind;
use portcullis_wire::RequestHead;

use super::place::{Place, places};
use super::{Asking, Attempt, Denied, Refused, challenge};
use crate::consumers::KeyFault;
use crate::consumers::key::LENGTH;
use crate::identity::Identity;
use crate::key::Facts;

/// Where a key may stand.
#[derive(Debug)]
pub(crate) struct ApiKey {
    from: Box<[Place]>,
    longest: usize,
    forward: bool,
    challenge: Box<[u8]>,
    /// The same for one that was not good, where there is a word for that (RFC 6750, 3.1).
    refused: Box<[u8]>,
}

/// What a request shows.
enum Shown {
    Nothing,
    Key,
    Bad(&'static str),
}

impl ApiKey {
    pub(super) fn new(written: &model::ApiKey) -> ApiKey {
        let from = places(&written.from);
        let scheme = from.iter().find_map(|place| place.scheme.as_deref()).unwrap_or("ApiKey");
        let bearer = scheme.eq_ignore_ascii_case("bearer");
        let error = if bearer { ", error=\"invalid_token\"" } else { "" };
        ApiKey {
            challenge: challenge(scheme, &written.realm, ""),
            refused: challenge(scheme, &written.realm, error),
            longest: written.longest,
            forward: written.forward,
            from,
        }
    }

    pub(super) fn attempt(
        &self,
        facts: &impl Facts,
        asking: Asking<'_>,
        identity: &mut Identity,
    ) -> Attempt {
        let refused = |detail| Attempt::Refused(Refused::new(CredentialKind::ApiKey, detail));
        let mut key = [0; LENGTH];
        match self.shown(facts, &mut key) {
            Shown::Nothing => return Attempt::Nothing,
            Shown::Bad(why) => return refused(why),
            Shown::Key => {}
        }
        match asking.directory.key(&key, asking.now) {
            Ok((consumer, prefix)) => {
                let prefix = std::str::from_utf8(&prefix).unwrap_or_default();
                identity.found(CredentialKind::ApiKey, consumer, &["pk_", prefix]);
                Attempt::Known
            }
            Err(KeyFault::Malformed) => refused("not spelt as a key is"),
            Err(KeyFault::Unknown) => refused("no such key"),
            Err(KeyFault::Expired) => refused("the key has expired"),
        }
    }

    pub(super) fn is_shown(&self, facts: &impl Facts) -> bool {
        !matches!(self.shown(facts, &mut [0; LENGTH]), Shown::Nothing)
    }

    /// The one key of the request, from all places where one may be, into `key`.
    fn shown(&self, facts: &impl Facts, key: &mut [u8; LENGTH]) -> Shown {
        let mut shown = Shown::Nothing;
        for place in &self.from {
            let mut each = |value: &[u8]| {
                let Some(value) = place.credential(value) else { return };
                shown = match &shown {
                    Shown::Bad(why) => Shown::Bad(why),
                    _ if value.is_empty() => Shown::Bad("an empty key"),
                    _ if value.len() > self.longest => Shown::Bad("too large"),
                    _ if value.len() != LENGTH => Shown::Bad("not spelt as a key is"),
                    Shown::Nothing => {
                        key.copy_from_slice(value);
                        Shown::Key
                    }
                    Shown::Key if *key == *value => return,
                    Shown::Key => Shown::Bad("two keys that are not the same"),
                };
            };
            place.each(facts, &mut each);
        }
        shown
    }

    pub(super) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        if !self.forward {
            self.from.iter().for_each(|place| place.hide(request, text));
        }
    }

    pub(super) fn challenge(&self, denied: &Denied) -> &[u8] {
        let of_key = |refused: &Refused| refused.kind == CredentialKind::ApiKey;
        match denied {
            Denied::Refused(refused) if of_key(refused) => &self.refused,
            _ => &self.challenge,
        }
    }
}
