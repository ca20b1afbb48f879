//! What of a request is hashed to choose an endpoint.

use std::net::IpAddr;

use portcullis_config::model::{HashBalance, HashPart};
use portcullis_policies::Identity;
use portcullis_wire::Fields;

use super::hash::StableHash;
use crate::router::{Params, cookies, query_values};

/// A request as far as an endpoint may be chosen by it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) client: Option<IpAddr>,
    /// What only HTTP has.
    pub(crate) http: Option<Http<'a>>,
}

/// What only HTTP has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http<'a> {
    pub(crate) fields: &'a Fields,
    pub(crate) query: Option<&'a [u8]>,
    /// The path that routes saw, and its parameters.
    pub(crate) path: &'a [u8],
    pub(crate) params: &'a Params,
    pub(crate) identity: &'a Identity,
}

/// The hash of what a request has of the parts; `None` where it lacks any.
pub(crate) fn key(by: &HashBalance, asked: &Asked<'_>) -> Option<u64> {
    by.by.iter().try_fold(StableHash::new(), |hash, part| add(hash, part, asked)).map(|h| h.end())
}

fn add(hash: StableHash, part: &HashPart, asked: &Asked<'_>) -> Option<StableHash> {
    let value = match (part, asked.http) {
        (HashPart::Ip, _) => {
            // The same client whatever the family of the listener's socket.
            return Some(match asked.client?.to_canonical() {
                IpAddr::V4(ip) => hash.part(&ip.octets()),
                IpAddr::V6(ip) => hash.part(&ip.octets()),
            });
        }
        (HashPart::Header(name), Some(http)) => http.fields.all(name.as_bytes()).next(),
        (HashPart::Cookie(name), Some(http)) => cookies(http.fields, name.as_bytes()).next(),
        (HashPart::Query(name), Some(http)) => query_values(http.query, name.as_bytes()).next(),
        (HashPart::Claim(path), Some(http)) => {
            // A list of several has not said anything.
            let (mut found, mut count) = (None, 0);
            http.identity.claim(path, &mut |value| {
                (found, count) = (Some(hash.part(value)), count + 1);
            });
            return found.filter(|_| count == 1);
        }
        (HashPart::Param(name), Some(http)) => http.params.value(name, http.path),
        (_, None) => None,
    };
    // Who sends an empty value has not said anything.
    value.filter(|value| !value.is_empty()).map(|value| hash.part(value))
}

#[cfg(test)]
mod tests {
    use portcullis_config::model::HashAlgorithm;
    use portcullis_jose::{ClaimPath, Claims};

    use super::*;

    fn by(parts: &[HashPart]) -> HashBalance {
        HashBalance { by: parts.to_vec(), algorithm: HashAlgorithm::Maglev, bounded_load: None }
    }

    #[test]
    fn every_part_counts_and_none_may_be_missing() {
        let mut fields = Fields::default();
        fields.push(b"X-User", b"u1");
        fields.push(b"cookie", b"a=1; s=abc");
        fields.push(b"x-empty", b"");
        let params = Params::default();
        let claims = Claims::from_json(br#"{"sub":"anna","n":7,"one":["x"],"two":["x","y"]}"#);
        let mut identity = Identity::default();
        identity.claims = claims.ok();
        let ask = |query: &'static [u8]| Asked {
            client: Some("::ffff:10.0.0.1".parse().unwrap()),
            http: Some(Http {
                fields: &fields,
                query: Some(query),
                path: b"/",
                params: &params,
                identity: &identity,
            }),
        };
        let header = HashPart::Header("x-user".into());
        let all = by(&[
            HashPart::Ip,
            header.clone(),
            HashPart::Cookie("s".into()),
            HashPart::Query("q".into()),
        ]);
        let one = key(&all, &ask(b"q=1"));
        assert!(one.is_some() && one == key(&all, &ask(b"z=2&q=1")));
        assert_ne!(one, key(&all, &ask(b"q=2")));
        assert_eq!(key(&all, &ask(b"z=2")), None);
        for missing in ["x-none", "x-empty"] {
            assert_eq!(key(&by(&[HashPart::Header(missing.into())]), &ask(b"")), None);
        }
        assert_eq!(key(&by(&[HashPart::Param("id".into())]), &ask(b"")), None);
        let claim = |path| key(&by(&[HashPart::Claim(ClaimPath::name(path))]), &ask(b""));
        let text = |text: &[u8]| Some(StableHash::new().part(text).end());
        assert_eq!(["sub", "n", "one"].map(claim), [text(b"anna"), text(b"7"), text(b"x")]);
        assert_eq!(["two", "none"].map(claim), [None, None]);
        // An address is the same in both of its forms.
        let bare = Asked { client: Some("10.0.0.1".parse().unwrap()), http: None };
        let ip = by(&[HashPart::Ip]);
        assert_eq!(key(&ip, &bare), key(&ip, &ask(b"")));
        assert_eq!(key(&by(&[header]), &bare), None, "bytes have no fields");
        assert_eq!(key(&ip, &Asked { client: None, http: None }), None);
    }
}
