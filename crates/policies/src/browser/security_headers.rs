//! Fields that tell browsers what pages may do, in every reply, whoever gives it.

use std::sync::Arc;

use portcullis_config::model::{SecurityHeaders, SetField};

use crate::registry::PolicyId;

/// A policy as it runs.
#[derive(Debug)]
pub struct RunningSecurityHeaders {
    /// What it is named.
    pub id: PolicyId,
    /// As configured.
    pub headers: Arc<SecurityHeaders>,
    /// What is set, `Strict-Transport-Security` first if there is one.
    fields: Box<[SetField]>,
}

/// Which of the fields an endpoint has set itself, by their positions.
#[derive(Debug, Default, Clone, Copy)]
pub struct Kept(u32);

impl RunningSecurityHeaders {
    pub(crate) fn new(headers: &Arc<SecurityHeaders>, id: PolicyId) -> RunningSecurityHeaders {
        let hsts = headers.hsts.iter();
        let hsts = hsts
            .map(|value| SetField { name: "strict-transport-security", value: Arc::clone(value) });
        let fields = hsts.chain(headers.set.iter().cloned()).collect();
        RunningSecurityHeaders { id, headers: Arc::clone(headers), fields }
    }

    /// Whether a field of an endpoint's reply goes on to the client. `kept` remembers it.
    pub fn keeps(&self, name: &[u8], kept: &mut Kept) -> bool {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if let Some(place) = self.fields.iter().position(|field| is(field.name)) {
            if !self.headers.replace {
                kept.0 |= 1 << place;
            }
            return !self.headers.replace;
        }
        !self.headers.remove.iter().any(|removed| is(removed))
    }

    /// The fields that the gateway sets, but for those that were kept. `secure` says that the
    /// client speaks TLS.
    pub fn fields(&self, kept: Kept, secure: bool) -> impl Iterator<Item = &SetField> {
        let plain = usize::from(!secure && self.headers.hsts.is_some());
        self.fields.iter().enumerate().filter_map(move |(place, field)| {
            (place >= plain && kept.0 & (1 << place) == 0).then_some(field)
        })
    }
}
