//! Whom a request is counted for: its key's parts become a hash.

use std::net::IpAddr;

use portcullis_config::model::{CountBy, KeyPart, Missing};
use portcullis_wire::tls::ClientCertificate;
use siphasher::sip::SipHasher13;

use crate::table::Key;

/// What a policy can ask about a request.
pub trait Facts {
    /// The client's address.
    fn client(&self) -> Option<IpAddr>;

    /// Calls `each` with every value that the request has for a part of a key other than the
    /// client's network. Nothing stands for a part that it lacks.
    fn values(&self, part: &KeyPart, each: &mut dyn FnMut(&[u8]));

    /// Calls `each` with the value of every field of this name (in lower case).
    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8]));

    /// The certificate that the client has shown; verified.
    fn certificate(&self) -> Option<&ClientCertificate> {
        None
    }
}

/// Hashes keys so that nobody outside can make two of them collide.
#[derive(Debug, Clone, Copy)]
pub struct KeyHasher {
    seed: (u64, u64),
}

/// Why a request has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It is not counted.
    Unlimited,
    /// It is refused.
    Refuse,
}

impl KeyHasher {
    /// A hasher with this secret.
    #[must_use]
    pub fn new(seed: (u64, u64)) -> KeyHasher {
        KeyHasher { seed }
    }

    /// The key of a request. A part that is there more than once counts as missing: nobody can say
    /// which of the values the service will go by. `text` is working memory.
    ///
    /// # Errors
    /// When a part is missing and the policy has no key for that.
    pub fn key(&self, by: &CountBy, facts: &impl Facts, text: &mut Vec<u8>) -> Result<Key, Missed> {
        text.clear();
        for part in &by.parts {
            let before = text.len();
            let there = each_part(part, facts, &mut |bytes| {
                text.extend_from_slice(&bytes.len().to_ne_bytes());
                text.extend_from_slice(bytes);
            });
            if !there {
                text.truncate(before);
                match by.missing {
                    // No value is that long.
                    Missing::OwnBucket => text.extend_from_slice(&usize::MAX.to_ne_bytes()),
                    Missing::Refuse => return Err(Missed::Refuse),
                    Missing::Unlimited => return Err(Missed::Unlimited),
                }
            }
        }
        Ok(Key::new(SipHasher13::new_with_keys(self.seed.0, self.seed.1).hash(text)))
    }
}

/// Appends the key of a request as bytes that mean the same to every node.
///
/// # Errors
/// When a part is missing and the policy has no key for that.
pub fn write_key(by: &CountBy, facts: &impl Facts, out: &mut Vec<u8>) -> Result<(), Missed> {
    for part in &by.parts {
        let start = out.len();
        let there = each_part(part, facts, &mut |bytes| {
            out.push(b'|');
            out.extend_from_slice(itoa::Buffer::new().format(bytes.len()).as_bytes());
            out.push(b':');
            out.extend_from_slice(bytes);
        });
        if !there {
            out.truncate(start);
            match by.missing {
                Missing::OwnBucket => out.extend_from_slice(b"|-"),
                Missing::Refuse => return Err(Missed::Refuse),
                Missing::Unlimited => return Err(Missed::Unlimited),
            }
        }
    }
    Ok(())
}

/// Gives the value of a part to `write`, if there is exactly one. `write` may have been called even
/// if not; what it got then is no part of a key with a value.
fn each_part(part: &KeyPart, facts: &impl Facts, write: &mut dyn FnMut(&[u8])) -> bool {
    match part {
        KeyPart::Ip { prefix4, prefix6 } => match facts.client().map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(*prefix4)).unwrap_or(0);
                write(&(ip.to_bits() & mask).to_be_bytes());
                true
            }
            Some(IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(*prefix6)).unwrap_or(0);
                write(&(ip.to_bits() & mask).to_be_bytes());
                true
            }
            None => false,
        },
        part => {
            let mut found = 0;
            facts.values(part, &mut |value| {
                found += 1;
                if found == 1 {
                    write(value);
                }
            });
            found == 1
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;
    use std::sync::Arc;

    use super::*;
    use crate::testing::Asked;

    fn by(parts: &[KeyPart], missing: Missing) -> CountBy {
        CountBy { parts: parts.to_vec(), missing, keys: 10 }
    }

    fn header(name: &str) -> KeyPart {
        KeyPart::Header(Arc::from(name))
    }

    fn key(by: &CountBy, asked: &Asked) -> Result<Key, Missed> {
        KeyHasher::new((1, 2)).key(by, asked, &mut Vec::new())
    }

    #[test]
    fn networks_share_a_key() {
        let by = by(&[KeyPart::Ip { prefix4: 24, prefix6: 64 }], Missing::Refuse);
        let of = |ip: &str| key(&by, &Asked::from(ip)).unwrap();
        assert_eq!(of("192.0.2.1"), of("192.0.2.200"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(key(&by, &Asked::default()), Err(Missed::Refuse));
    }

    #[test]
    fn every_length_of_a_prefix_works() {
        for (prefix4, prefix6) in [(0, 0), (32, 128)] {
            let by = by(&[KeyPart::Ip { prefix4, prefix6 }], Missing::Refuse);
            for (one, other) in [("192.0.2.1", "10.0.0.1"), ("2001:db8::1", "fe80::1")] {
                let same = key(&by, &Asked::from(one)) == key(&by, &Asked::from(other));
                assert_eq!(same, prefix4 == 0);
            }
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let by = by(&[header("a"), header("b")], Missing::OwnBucket);
        let keys = [
            Asked::default().with("a", "xy").with("b", "z"),
            Asked::default().with("a", "x").with("b", "yz"),
            Asked::default().with("a", "xyz").with("b", ""),
            Asked::default().with("a", "xyz"),
            Asked::default().with("b", "xyz"),
            Asked::default(),
        ]
        .map(|asked| key(&by, &asked).unwrap());
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| other != one));
        }
    }

    #[test]
    fn a_part_that_is_there_twice_is_missing() {
        let twice = Asked::default().with("a", "x").with("a", "y");
        assert_eq!(key(&by(&[header("a")], Missing::Refuse), &twice), Err(Missed::Refuse));
        assert_eq!(key(&by(&[header("a")], Missing::Unlimited), &twice), Err(Missed::Unlimited));
        let own = by(&[header("a")], Missing::OwnBucket);
        let other = Asked::default().with("a", "p").with("a", "q");
        // As with the value alone, so with what follows it: who adds a field gets no new bucket.
        assert_eq!(key(&own, &twice), key(&own, &other));
        assert_eq!(key(&own, &twice), key(&own, &Asked::default()));
    }

    /// Quotas that an earlier version has written down are found again.
    #[test]
    fn keys_stay_what_they_were() {
        let own = by(&[header("a"), header("b")], Missing::OwnBucket);
        let mut hasher = SipHasher13::new_with_keys(1, 2);
        hasher.write_usize(1);
        hasher.write(b"x");
        hasher.write_usize(usize::MAX);
        let asked = Asked::default().with("a", "x");
        assert_eq!(key(&own, &asked), Ok(Key::new(hasher.finish())));
    }

    #[test]
    fn keys_as_bytes_tell_parts_apart() {
        let by = by(&[header("a"), header("b")], Missing::OwnBucket);
        let mut out = Vec::new();
        write_key(&by, &Asked::default().with("a", "x|1:y"), &mut out).unwrap();
        assert_eq!(out, b"|5:x|1:y|-");
    }
}
