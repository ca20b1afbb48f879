//! Chunked bodies: content, trailers and where the body ends must not depend on how the input is
//! cut.

use portcullis_wire::Fields;
use portcullis_wire::h1::{Decoder, Step};

use crate::cuts::Cuts;

/// Checks `input` as a chunked body and what follows it.
pub fn chunked(input: &[u8]) {
    let whole = decode(input, Cuts::Even(input.len().max(1)));
    assert!(whole.used <= input.len());
    assert!(whole.content.len() <= whole.used);
    for cuts in Cuts::of(input) {
        assert_eq!(decode(input, cuts), whole, "the body depends on the cuts");
    }
    if whole.end == End::Whole {
        let alone = decode(&input[..whole.used], Cuts::Even(whole.used));
        assert_eq!(alone, whole, "the body depends on what follows it");
    }
}

#[derive(Debug, PartialEq)]
struct Body {
    content: Vec<u8>,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes up to the end of the body, or as far as it was read.
    used: usize,
    end: End,
}

#[derive(Debug, PartialEq)]
enum End {
    Whole,
    Refused,
    Missing,
}

fn decode(input: &[u8], mut cuts: Cuts) -> Body {
    let (mut decoder, mut trailers) = (Decoder::default(), Fields::default());
    let (mut used, mut seen, mut content) = (0, 0, Vec::new());
    let end = loop {
        match decoder.step(&input[used..seen], &mut trailers) {
            Err(_) => break End::Refused,
            Ok(Step::End) => break End::Whole,
            Ok(Step::More) if seen == input.len() => break End::Missing,
            Ok(Step::More) => seen = input.len().min(seen + cuts.next_size()),
            Ok(Step::Skip(n)) => {
                assert!(n > 0, "a step that goes nowhere");
                used += n;
            }
            Ok(Step::Data(n)) => {
                assert!(n > 0, "a step that goes nowhere");
                content.extend_from_slice(&input[used..used + n]);
                decoder.took(n);
                used += n;
            }
        }
    };
    assert_eq!(decoder.is_done(), end == End::Whole);
    let pairs = trailers.iter().map(|field| (field.name.to_vec(), field.value.to_vec()));
    // Trailers count only once the body is whole.
    let trailers = if end == End::Whole { pairs.collect() } else { Vec::new() };
    Body { content, trailers, used, end }
}
