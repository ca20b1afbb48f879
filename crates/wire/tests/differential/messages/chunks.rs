//! Chunked bodies.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Text, field_line, line_end, mostly};

pub(super) fn chunked() -> impl Strategy<Value = Vec<u8>> {
    let trailers = prop_oneof![4 => Just(Vec::new()), 1 => vec(field_line(), 1..3)];
    (vec(chunk(), 0..4), size_line(0), trailers, line_end()).prop_map(
        |(chunks, last, trailers, end)| {
            [&chunks.concat(), &last[..], &trailers.concat(), end].concat()
        },
    )
}

fn chunk() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        4 => vec(any::<u8>(), 1..20),
        1 => Just(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
    ];
    data.prop_flat_map(|data| (size_line(data.len()), Just(data), line_end()))
        .prop_map(|(line, data, end)| [&line, &data[..], end].concat())
}

/// The size in some spelling, extensions and the line's end.
fn size_line(size: usize) -> impl Strategy<Value = Vec<u8>> {
    let upper = any::<bool>();
    let before = mostly(
        30,
        &[b"", b"", b"", b"0", b"000"],
        &[
            b" ",
            b"+",
            b"-",
            b"0x",
            b"1000000000000000",
            b"8000000000000",
            b"\t",
            b"_",
            b"00000000000000000",
            b"f000000000000000",
        ],
    );
    (before, upper, extension(), line_end()).prop_map(move |(before, upper, extension, end)| {
        let digits = if upper { format!("{size:X}") } else { format!("{size:x}") };
        [before, digits.as_bytes(), extension, end].concat()
    })
}

fn extension() -> impl Strategy<Value = Text> {
    let usual: &[Text] =
        &[b"", b"", b"", b"", b"", b"", b"", b"", b";a", b";a=b;c=\"d;\\\" e\"", b" ; a = b"];
    let odd: &[Text] = &[
        b" ",
        b"\t",
        b";",
        b";;",
        b";a=",
        b";=b",
        b";a=\"b",
        b";a=b\0",
        b";a\rb",
        b";a\nb",
        b"a",
        b" a",
        b"h",
        b";a b",
        b";a=\"b\"c",
        b",a",
        b";\xff",
        b";a=\"\xff\"",
        b";a=\"\\\r\"",
        b";a=\"\\\0\"",
        b"\0",
        b".0",
        b";a=b ",
    ];
    prop_oneof![20 => select(usual), 1 => select(odd)]
}
