//! Whether a header block (RFC 7541) holds a `:path` with a fragment.
//!
//! The `h2` crate cuts a fragment off before anybody can refuse it, so it is looked for in the
//! bytes. Nothing is unpacked for that: of the dynamic table it is enough to know which entries are
//! paths and which of those have a fragment, a bit each.

/// Where the dynamic table begins in the space of indices (RFC 7541, 2.3.3).
const DYNAMIC: usize = 62;
/// `:path` in Huffman code; as padding has one form, there is no other way to write it.
const PATH_CODED: [u8; 4] = [0xb9, 0x58, 0xd3, 0x3f];
/// `#` in Huffman code, of 12 bits.
const HASH: u32 = 0xffa;
const HASH_BITS: u32 = 12;

/// The paths of a connection's dynamic table.
///
/// The table has room for 4,096 bytes, which the crate never offers to change, and an entry takes
/// 32 bytes and its name (RFC 7541, 4.1): there are fewer than 128. Each that is added moves the
/// others up by one. Those that the table has dropped need not be forgotten: nothing refers to them,
/// or the crate ends the connection.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Which entries are named `:path`, the newest in the lowest bit.
    paths: u128,
    /// Which of them have a fragment.
    cut: u128,
}

impl Paths {
    /// Whether a path in this block has a fragment. It must be shown every block of the
    /// connection, whole and in their order. What is malformed it reads up to there; the crate ends
    /// the connection for it.
    pub(super) fn has_fragment(&mut self, mut block: &[u8]) -> bool {
        let mut found = false;
        while let Some(has) = self.field(&mut block) {
            found |= has;
        }
        found
    }

    /// Reads one representation (RFC 7541, 6), and says whether it is a path with a fragment.
    fn field(&mut self, block: &mut &[u8]) -> Option<bool> {
        let (prefix, is_added) = match *block.first()? {
            0x80.. => {
                let index = integer(block, 7)?;
                return Some(contains(self.cut, index));
            }
            0x40.. => (6, true),
            0x20.. => {
                integer(block, 5)?;
                return Some(false);
            }
            _ => (4, false),
        };
        let is_path = match integer(block, prefix)? {
            0 => Text::read(block)?.is_path(),
            4 | 5 => true,
            index => contains(self.paths, index),
        };
        let value = Text::read(block)?;
        let has = is_path && value.has_hash();
        if is_added {
            self.paths = self.paths << 1 | u128::from(is_path);
            self.cut = self.cut << 1 | u128::from(has);
        }
        Some(has)
    }
}

/// Whether the entry of this index is in a set of those of the dynamic table.
fn contains(set: u128, index: usize) -> bool {
    let at = index.checked_sub(DYNAMIC).and_then(|at| u32::try_from(at).ok());
    at.and_then(|at| set.checked_shr(at)).is_some_and(|set| set & 1 != 0)
}

/// Reads an integer whose first byte has so many bits of it (RFC 7541, 5.1), within the four bytes
/// more that the crate allows.
fn integer(block: &mut &[u8], prefix: u32) -> Option<usize> {
    let (&first, mut rest) = block.split_first()?;
    let most = (1 << prefix) - 1;
    let mut value = usize::from(first) & most;
    if value == most {
        let mut shift = 0;
        loop {
            let (&byte, after) = rest.split_first().filter(|_| shift < 28)?;
            value += usize::from(byte & 0x7f) << shift;
            shift += 7;
            rest = after;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *block = rest;
    Some(value)
}

/// A string (RFC 7541, 5.2).
struct Text<'a> {
    bytes: &'a [u8],
    is_coded: bool,
}

impl<'a> Text<'a> {
    fn read(block: &mut &'a [u8]) -> Option<Text<'a>> {
        let is_coded = *block.first()? & 0x80 != 0;
        let length = integer(block, 7)?;
        let (bytes, rest) = block.split_at_checked(length)?;
        *block = rest;
        Some(Text { bytes, is_coded })
    }

    fn is_path(&self) -> bool {
        self.bytes == if self.is_coded { PATH_CODED.as_slice() } else { b":path" }
    }

    fn has_hash(&self) -> bool {
        match self.is_coded {
            true => has_nine_ones(self.bytes) && has_coded_hash(self.bytes),
            false => memchr::memchr(b'#', self.bytes).is_some(),
        }
    }
}

/// Whether nine ones stand in a row, as `#` begins in Huffman code: most paths have no such place,
/// and need not be decoded.
fn has_nine_ones(bytes: &[u8]) -> bool {
    let found = |window: u64| {
        let two = window & window << 1;
        let four = two & two << 2;
        four & four << 4 & window << 8 != 0
    };
    let mut window = 0_u64;
    let mut quads = bytes.chunks_exact(4);
    for quad in &mut quads {
        let quad = quad.iter().fold(0, |quad, &byte| quad << 8 | u32::from(byte));
        window = window << 32 | u64::from(quad);
        if found(window) {
            return true;
        }
    }
    found(quads.remainder().iter().fold(window, |window, &byte| window << 8 | u64::from(byte)))
}

/// Looks for `#` in Huffman code. It is enough to know where each symbol ends, and that the code
/// tells without naming the symbols: it is canonical, a longer code is always the greater one.
fn has_coded_hash(bytes: &[u8]) -> bool {
    let mut bytes = bytes.iter();
    // The bits that are not looked at yet, from the top, and how many there are.
    let (mut window, mut bits) = (0_u64, 0);
    loop {
        if bits < 32 {
            while bits <= 56
                && let Some(&byte) = bytes.next()
            {
                window |= u64::from(byte) << (56 - bits);
                bits += 8;
            }
        }
        let next = (window >> 32) as u32;
        let length = code_length(next);
        if length > bits {
            // Nothing but padding is left.
            return false;
        }
        if length == HASH_BITS && next >> (32 - HASH_BITS) == HASH {
            return true;
        }
        window <<= length;
        bits -= length;
    }
}

/// How many codes there are of each length (RFC 7541, appendix B).
const COUNTS: [u64; 31] = [
    0, 0, 0, 0, 0, 10, 26, 32, 6, 0, 5, 3, 2, 6, 2, 3, 0, 0, 0, 3, 8, 13, 26, 29, 12, 4, 15, 19,
    29, 0, 4,
];

/// The first 32 bits that no code of a length, or of less, begins.
const ENDS: [u64; 31] = {
    let mut ends = [0; 31];
    let mut length = 1;
    while length < ends.len() {
        ends[length] = ends[length - 1] + (COUNTS[length] << (32 - length));
        length += 1;
    }
    ends
};

/// The length of the code that these bits begin with, in bits.
fn code_length(next: u32) -> u32 {
    let next = u64::from(next);
    if next < ENDS[8] {
        // Nearly all that stands in a path; no branch depends on the text.
        return 5
            + u32::from(next >= ENDS[5])
            + u32::from(next >= ENDS[6])
            + u32::from(next >= ENDS[7]);
    }
    (10..30).find(|&length| next < ENDS[length as usize]).unwrap_or(30)
}

#[cfg(test)]
mod tests;
