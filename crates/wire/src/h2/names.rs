//! Field names as the `h2` crate wants them. Making one of bytes costs a look at each of them and,
//! for names that are in no standard, memory; messages have the same few names again and again.

use std::cell::RefCell;

use http::HeaderName;

/// Places for names, by a hash of how they are written.
const PLACES: usize = 128;
/// Longer names are made each time.
const LONGEST: usize = 48;

/// A name as it was written, and as the crate wants it.
type Seen = (Box<[u8]>, HeaderName);

thread_local! {
    static SEEN: RefCell<[Option<Seen>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// The name that is written so, in any case; `None` if it is none.
pub(super) fn name(written: &[u8]) -> Option<HeaderName> {
    let Some(place) = place(written) else {
        return HeaderName::from_bytes(written).ok();
    };
    SEEN.with_borrow_mut(|seen| {
        let seen = &mut seen[place];
        if let Some((same, name)) = seen
            && **same == *written
        {
            return Some(name.clone());
        }
        let name = HeaderName::from_bytes(written).ok()?;
        *seen = Some((written.into(), name.clone()));
        Some(name)
    })
}

/// Where a name has its place, if it is short enough for one.
fn place(written: &[u8]) -> Option<usize> {
    let (&[first, .., last], length @ ..=LONGEST) = (written, written.len()) else {
        return None;
    };
    let letters = [first, written[length / 2], last].map(usize::from);
    Some((length ^ letters[0] << 1 ^ letters[1] << 2 ^ letters[2] << 3) % PLACES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_whether_seen_before_or_not() {
        let long = "x-".repeat(40);
        let names = ["Content-Type", "content-type", "X-One", "x-one", "te", "a", "", "b c", &long];
        for _ in 0..3 {
            for written in names {
                let made = HeaderName::from_bytes(written.as_bytes()).ok();
                assert_eq!(name(written.as_bytes()), made, "{written}");
            }
        }
    }

    #[test]
    fn names_that_share_a_place_are_told_apart() {
        let names: Vec<String> = (0..1000).map(|n| format!("x-{n}-name")).collect();
        for written in names.iter().chain(&names) {
            assert_eq!(name(written.as_bytes()).unwrap().as_str(), written);
        }
    }
}
