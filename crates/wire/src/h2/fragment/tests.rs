use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// The length of each symbol's code (RFC 7541, appendix B).
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The code of each symbol: canonical, so the lengths say it all.
fn codes() -> [u32; 257] {
    let mut order: Vec<usize> = (0..257).collect();
    order.sort_by_key(|&symbol| (LENGTHS[symbol], symbol));
    let (mut codes, mut next, mut length) = ([0; 257], 0, 0);
    for symbol in order {
        next <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        codes[symbol] = next;
        next += 1;
    }
    assert_eq!(next, 1 << 30, "the code is complete");
    codes
}

fn huffman(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let mut bits = Vec::new();
    for &symbol in text {
        let (code, length) = (codes[usize::from(symbol)], LENGTHS[usize::from(symbol)]);
        bits.extend((0..length).rev().map(|at| code >> at & 1 == 1));
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    bits.chunks(8).map(|byte| byte.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit))).collect()
}

fn write_integer(out: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let most = (1 << prefix) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(0x80 | rest as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn write_text(out: &mut Vec<u8>, text: &[u8], coded: bool) {
    let bytes = if coded { huffman(text) } else { text.to_vec() };
    write_integer(out, if coded { 0x80 } else { 0 }, 7, bytes.len());
    out.extend(bytes);
}

fn path_literal(path: &[u8], coded: bool) -> Vec<u8> {
    let mut block = vec![0x04];
    write_text(&mut block, path, coded);
    block
}

fn has(block: &[u8]) -> bool {
    Paths::default().has_fragment(block)
}

fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn the_code_is_that_of_the_standard() {
    assert_eq!(huffman(b":path"), PATH_CODED);
    assert_eq!((codes()[usize::from(b'#')], LENGTHS[usize::from(b'#')]), (HASH, HASH_BITS as u8));
    assert_eq!(ENDS[30], 1 << 32);
    for (code, length) in codes().into_iter().zip(LENGTHS.map(u32::from)) {
        let first = code << (32 - length);
        let last = first | ((1_u64 << (32 - length)) - 1) as u32;
        assert_eq!((code_length(first), code_length(last)), (length, length));
    }
    // RFC 7541, C.4.1 and C.4.3.
    assert_eq!(huffman(b"www.example.com"), unhex("f1e3 c2e5 f23a 6ba0 ab90 f4ff"));
    assert_eq!(huffman(b"custom-value"), unhex("25a8 49e9 5bb8 e8b4 bf"));
}

#[test]
fn requests_of_the_standard_have_none() {
    // RFC 7541, C.2.2, then C.3 and C.4.
    assert!(!has(&unhex("040c 2f73 616d 706c 652f 7061 7468")));
    for requests in [
        [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ],
        [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ],
    ] {
        let mut paths = Paths::default();
        assert!(requests.iter().all(|request| !paths.has_fragment(&unhex(request))));
    }
}

#[test]
fn a_literal_path_is_seen_however_it_is_written() {
    for coded_value in [false, true] {
        for first in [0x00, 0x10, 0x40] {
            for index in [4, 5] {
                let mut block = vec![first | index];
                write_text(&mut block, b"/a?b#c", coded_value);
                assert!(has(&block));
            }
            for coded_name in [false, true] {
                let mut block = vec![0x82, first];
                write_text(&mut block, b":path", coded_name);
                write_text(&mut block, b"#", coded_value);
                assert!(has(&block));
            }
        }
        let mut other = vec![0x00];
        write_text(&mut other, b"x-path", coded_value);
        write_text(&mut other, b"/a#b", coded_value);
        assert!(!has(&other), "other fields may have it");
    }
}

#[test]
fn an_entry_of_the_table_is_known_again() {
    let mut paths = Paths::default();
    let added = |path: &[u8]| [&[0x44, path.len() as u8], path].concat();
    assert!(paths.has_fragment(&added(b"/#")));
    assert!(paths.has_fragment(&[0xbe]));
    assert!(!paths.has_fragment(&added(b"/")));
    assert!(!paths.has_fragment(&[0xbe]));
    assert!(paths.has_fragment(&[0xbf]));
    // Its name alone, with another value.
    assert!(!paths.has_fragment(&[0x0f, 62 - 15, 1, b'/']));
    assert!(paths.has_fragment(&[0x0f, 62 - 15, 1, b'#']));
    // Pushed on by another field, and then far away.
    assert!(!paths.has_fragment(&[0x40, 1, b'x', 1, b'#']));
    assert!(!paths.has_fragment(&[0x0f, 62 - 15, 1, b'#']));
    assert!(paths.has_fragment(&[0xc0]));
    assert!(!paths.has_fragment(&[0x40, 1, b'x', 0].repeat(200)));
    assert!(!paths.has_fragment(&[0xff, 0xff, 0xff, 0xff, 0x7f]));
}

/// A table as the standard has it, to compare with.
#[derive(Debug, Default)]
struct Table {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    size: usize,
}

impl Table {
    fn shrink(&mut self) {
        let cost = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
        while self.entries.iter().map(cost).sum::<usize>() > self.size {
            self.entries.pop();
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Indexed(usize),
    /// How it is indexed, an index for the name if there is one, name and value, and whether they
    /// are in Huffman code.
    Literal(u8, Option<usize>, bool, Vec<u8>, bool),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let literal = (
        prop::sample::select(vec![0x00, 0x10, 0x40, 0x40, 0x40]),
        prop::option::of(any::<usize>()),
        any::<bool>(),
        "[/#a-z?~\u{1}\u{fc}]{0,40}".prop_map(String::into_bytes),
        any::<bool>(),
    );
    prop_oneof![
        4 => any::<usize>().prop_map(Step::Indexed),
        6 => literal.prop_map(|(how, name, path, value, coded)| {
            Step::Literal(how, name, path, value, coded)
        }),
        1 => (0_usize..=4096).prop_map(Step::Resize),
    ]
}

/// Writes a step, and says whether it is a path with a fragment.
fn take_step(step: &Step, table: &mut Table, block: &mut Vec<u8>) -> bool {
    let is_cut = |name: &[u8], value: &[u8]| name == b":path" && value.contains(&b'#');
    match step {
        Step::Indexed(_) if table.entries.is_empty() => {
            block.push(0x84);
            false
        }
        Step::Indexed(at) => {
            let at = at % table.entries.len();
            write_integer(block, 0x80, 7, DYNAMIC + at);
            is_cut(&table.entries[at].0, &table.entries[at].1)
        }
        Step::Literal(how, index, path, value, coded) => {
            let prefix = if *how == 0x40 { 6 } else { 4 };
            let mut name = if *path { b":path".to_vec() } else { b"x-other".to_vec() };
            match index {
                Some(at) if !table.entries.is_empty() => {
                    let at = at % table.entries.len();
                    write_integer(block, *how, prefix, DYNAMIC + at);
                    name = table.entries[at].0.clone();
                }
                Some(at) if *path => write_integer(block, *how, prefix, 4 + at % 2),
                _ => {
                    block.push(*how);
                    write_text(block, &name, *coded);
                }
            }
            write_text(block, value, *coded);
            let has = is_cut(&name, value);
            if *how == 0x40 {
                table.entries.insert(0, (name, value.clone()));
                table.shrink();
            }
            has
        }
        Step::Resize(size) => {
            write_integer(block, 0x20, 5, *size);
            table.size = *size;
            table.shrink();
            false
        }
    }
}

proptest! {
    #[test]
    fn coded_or_not_a_fragment_is_found(path in vec(any::<u8>(), 0..80)) {
        let expected = path.contains(&b'#');
        prop_assert_eq!(has(&path_literal(&path, false)), expected);
        prop_assert_eq!(has(&path_literal(&path, true)), expected);
    }

    #[test]
    fn paths_of_usual_letters_too(path in "[/a-z0-9?#~|<>{}-]{0,200}") {
        prop_assert_eq!(has(&path_literal(path.as_bytes(), true)), path.contains('#'));
    }

    #[test]
    fn it_agrees_with_a_whole_table(blocks in vec(vec(step(), 0..30), 1..20)) {
        let mut table = Table { entries: Vec::new(), size: 4096 };
        let mut paths = Paths::default();
        for steps in blocks {
            let mut block = Vec::new();
            let mut expected = false;
            for step in &steps {
                expected |= take_step(step, &mut table, &mut block);
            }
            prop_assert_eq!(paths.has_fragment(&block), expected);
        }
    }

    #[test]
    fn nothing_makes_it_panic(blocks in vec(vec(any::<u8>(), 0..60), 0..8)) {
        let mut paths = Paths::default();
        for block in blocks {
            let _ = paths.has_fragment(&block);
        }
    }
}
