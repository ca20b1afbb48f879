use proptest::prelude::*;

use super::*;

fn cache(entries: usize) -> VerifiedCache<u32> {
    VerifiedCache::new(entries, 1 << 20)
}

#[test]
fn what_was_kept_is_found_for_exactly_its_token() {
    let mut cache = cache(10);
    cache.insert(b"a.b.c", 1, 100, 0, 7);
    assert_eq!(cache.get(b"a.b.c", 1, 50), Some(&7));
    for other in [&b"a.b.d"[..], b"a.b.", b"a.b.cc", b"A.b.c", b""] {
        assert_eq!(cache.get(other, 1, 50), None);
    }
}

#[test]
fn tokens_are_told_apart_by_every_bit_and_by_their_length() {
    let mut cache = cache(10);
    let token = vec![0_u8; 700];
    cache.insert(&token, 1, 100, 0, 7);
    for at in 0..token.len() * 8 {
        let mut other = token.clone();
        other[at / 8] ^= 1 << (at % 8);
        assert_eq!(cache.get(&other, 1, 50), None, "{at}");
    }
    // Padding of the last block does not count.
    for length in (0..700).chain(701..720) {
        assert_eq!(cache.get(&vec![0; length], 1, 50), None, "{length}");
    }
    assert_eq!(cache.get(&token, 1, 50), Some(&7));
}

#[test]
fn every_cache_has_a_key_of_its_own() {
    let digest = |cache: &VerifiedCache<u32>| cache.digest(b"a.b.c").unwrap();
    let (one, other) = (cache(10), cache(10));
    assert!(digest(&one) == digest(&one) && digest(&one) != digest(&other));
}

#[test]
fn it_is_gone_when_it_no_longer_holds() {
    let mut cache = cache(10);
    cache.insert(b"a", 1, 100, 0, 7);
    assert_eq!(cache.get(b"a", 1, 100), Some(&7));
    assert_eq!(cache.get(b"a", 1, 101), None);
    assert!(cache.is_empty() && cache.memory() == 0);
}

#[test]
fn new_keys_empty_it() {
    let mut cache = cache(10);
    cache.insert(b"a", 1, 100, 0, 7);
    assert_eq!(cache.get(b"a", 2, 50), None);
    assert_eq!(cache.get(b"a", 1, 50), None);
    cache.insert(b"a", 1, 100, 0, 8);
    cache.insert(b"b", 3, 100, 0, 9);
    assert_eq!(cache.get(b"a", 3, 50), None);
    assert_eq!(cache.len(), 1);
}

#[test]
fn it_is_bounded_in_number_and_memory() {
    let mut cache = cache(3);
    for n in 0..100_u32 {
        cache.insert(format!("token {n}").as_bytes(), 1, 100, 0, n);
        assert!(cache.len() <= 3);
    }
    assert_eq!(cache.get(b"token 99", 1, 50), Some(&99));
    let mut small = VerifiedCache::new(1000, 4096);
    for n in 0..100_u32 {
        small.insert(format!("token {n}").as_bytes(), 1, 100, 500, n);
        assert!(small.memory() <= 4096);
    }
    assert!(small.len() > 3);
    small.insert(b"huge", 1, 100, 5000, 0);
    assert_eq!(small.get(b"huge", 1, 50), None);
    let mut none = VerifiedCache::new(0, 4096);
    none.insert(b"a", 1, 100, 0, 0);
    assert!(none.is_empty());
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let mut cache = cache(4);
    cache.insert(b"often", 1, 100, 0, 0);
    for n in 1..200_u32 {
        cache.insert(format!("once {n}").as_bytes(), 1, 100, 0, n);
        assert_eq!(cache.get(b"often", 1, 50), Some(&0), "{n}");
    }
}

#[test]
fn tokens_are_not_shown() {
    let mut cache = cache(4);
    cache.insert(b"secret", 1, 100, 0, 0);
    assert!(!format!("{cache:?}").contains("secret"));
}

proptest! {
    /// It never says anything that was not put in last, whatever is done with it.
    #[test]
    fn it_agrees_with_a_map(
        steps in proptest::collection::vec((0_u8..20, 0_i64..30, any::<bool>()), 0..300),
        entries in 1_usize..12,
    ) {
        let mut cache = VerifiedCache::new(entries, 3000);
        let mut map = std::collections::HashMap::new();
        let mut now = 0;
        for (value, (name, until, put)) in steps.into_iter().enumerate() {
            let token = vec![b'a'; name as usize + 1];
            now += 1;
            if put {
                cache.insert(&token, 1, now + until, 100, value);
                map.insert(name, (now + until, value));
            } else if let Some(found) = cache.get(&token, 1, now) {
                let (until, value) = map[&name];
                prop_assert!(until >= now && *found == value);
            }
            prop_assert!(cache.len() <= entries && cache.memory() <= 3000);
            prop_assert_eq!(cache.places.len(), cache.len());
        }
    }
}

/// Not a test: `cargo test --release -p portcullis-jose cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_look_up() {
    let token = vec![b'x'; 1024];
    let mut cache = cache(10_000);
    for n in 0..9_999_u32 {
        cache.insert(&[&token[..1000], format!("{n}").as_bytes()].concat(), 1, 100, 0, n);
    }
    cache.insert(&token, 1, 100, 0, 7);
    let rounds = 1_000_000;
    let time = |what: &str, step: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        (0..rounds).for_each(|_| step());
        println!("{what}: {} ns", start.elapsed().as_nanos() / rounds);
    };
    time("look-up of a token of 1 KiB", &mut || {
        std::hint::black_box(cache.get(std::hint::black_box(&token), 1, 50));
    });
    time("SHA-256 alone", &mut || {
        let token = std::hint::black_box(&token);
        std::hint::black_box(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token));
    });
}
