//! Header and trailer fields: the bytes as they came plus offsets, so that a head costs one copy
//! and no allocation once its buffers are warm.

use crate::h1::writing::write_field;
use crate::{Known, names};

/// Fields in the order they came.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    text: Vec<u8>,
    list: Vec<Entry>,
    /// A bit for each [`Known`] that is in the list: most questions are about fields that are not
    /// there, and need no look at the list.
    present: u32,
}

/// Offsets of one field inside [`Fields::text`].
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    value: u32,
    value_len: u32,
    name_len: u16,
    known: Known,
    /// It stands in the text as it would be written: `name: value CRLF`.
    plain: bool,
}

impl Entry {
    /// Where its line ends, if it is plain.
    fn end(&self) -> usize {
        (self.value + self.value_len) as usize + 2
    }
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, in the case it came.
    pub name: &'a [u8],
    /// Its value without surrounding white space.
    pub value: &'a [u8],
    /// What the gateway makes of the name.
    pub known: Known,
}

impl Fields {
    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.list.iter().map(|entry| self.field(entry))
    }

    /// The values of every field called `name`, compared in any case.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |field| names::is_same(field.name, name)).map(|field| field.value)
    }

    /// The values of every field of this meaning.
    pub fn all_known(&self, known: Known) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.entries(known).map(|entry| self.field(entry).value)
    }

    /// Whether there is a field of this meaning.
    #[must_use]
    pub fn has(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    fn entries(&self, known: Known) -> impl DoubleEndedIterator<Item = &Entry> {
        let list = if self.has(known) { &self.list[..] } else { &[] };
        list.iter().filter(move |entry| entry.known == known)
    }

    /// The value of the first field of this meaning.
    #[must_use]
    pub fn first(&self, known: Known) -> Option<&[u8]> {
        self.all_known(known).next()
    }

    /// Where the values of every field of this meaning stand.
    pub(crate) fn spans(&self, known: Known) -> impl Iterator<Item = Span> {
        self.entries(known).map(|entry| Span { start: entry.value, len: entry.value_len })
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends a field. The caller vouches that name and value are legal (RFC 9110, 5.1 and 5.5).
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name_at = self.text.len();
        self.text.extend_from_slice(name);
        let value_at = self.text.len();
        self.text.extend_from_slice(value);
        self.entry(name_at, name.len(), value_at, value.len(), false);
    }

    /// Appends a field that will mostly be written as a line. The caller vouches as for
    /// [`Fields::push`].
    pub(crate) fn push_line(&mut self, name: &[u8], value: &[u8]) {
        self.push_known(Known::of(name), name, value);
    }

    /// The same where the meaning of the name is known already.
    pub(crate) fn push_known(&mut self, known: Known, name: &[u8], value: &[u8]) {
        let name_at = self.text.len();
        write_field(&mut self.text, name, value);
        let value_at = name_at + name.len() + 2;
        self.known_entry(known, name_at, name.len(), value_at, value.len(), true);
    }

    /// Appends a field as a line, with a value that `value` writes. The caller vouches as for
    /// [`Fields::push`], and for the meaning of the name.
    pub fn push_with(&mut self, known: Known, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        debug_assert_eq!(known, Known::of(name));
        let name_at = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(b": ");
        let value_at = self.text.len();
        value(&mut self.text);
        let value_len = self.text.len() - value_at;
        self.text.extend_from_slice(b"\r\n");
        self.known_entry(known, name_at, name.len(), value_at, value_len, true);
    }

    /// Appends text that belongs to no field.
    pub(crate) fn push_text(&mut self, text: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(text);
        Span::new(start, text.len())
    }

    /// All text, which [`Field`]s of this head are parts of.
    pub(crate) fn all_text(&self) -> &[u8] {
        &self.text
    }

    /// Appends the lines of the fields for which `keep` says so. Neighbours that stand in the text
    /// as they are written go in one copy.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, mut keep: impl FnMut(Field<'_>) -> bool) {
        let mut run = 0..0;
        for entry in &self.list {
            if !keep(self.field(entry)) {
                continue;
            }
            let start = entry.name as usize;
            if entry.plain && start == run.end {
                run.end = entry.end();
                continue;
            }
            out.extend_from_slice(&self.text[run]);
            if entry.plain {
                run = start..entry.end();
            } else {
                run = 0..0;
                let field = self.field(entry);
                write_field(out, field.name, field.value);
            }
        }
        out.extend_from_slice(&self.text[run]);
    }

    /// Takes out every field for which `keep` does not say that it stays.
    pub fn retain(&mut self, mut keep: impl FnMut(Field<'_>) -> bool) {
        let mut list = std::mem::take(&mut self.list);
        let before = list.len();
        list.retain(|entry| keep(self.field(entry)));
        if list.len() < before {
            self.present = list.iter().fold(0, |present, entry| present | entry.known.bit());
        }
        self.list = list;
    }

    /// Forgets every field and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
        self.present = 0;
    }

    /// Takes `text` (a whole head) as the bytes that later [`Fields::entry`] calls point into.
    pub(crate) fn load(&mut self, text: &[u8]) {
        self.clear();
        self.text.extend_from_slice(text);
    }

    /// Adds a field by its offsets in the text; `plain` if its whole line stands there just as it
    /// is written.
    pub(crate) fn entry(
        &mut self,
        name: usize,
        name_len: usize,
        value: usize,
        value_len: usize,
        plain: bool,
    ) {
        let known = Known::of(&self.text[name..name + name_len]);
        self.known_entry(known, name, name_len, value, value_len, plain);
    }

    fn known_entry(
        &mut self,
        known: Known,
        name: usize,
        name_len: usize,
        value: usize,
        value_len: usize,
        plain: bool,
    ) {
        // Heads are bounded far below 4 GiB and names by the head, so these never truncate; a name
        // beyond 64 KiB is refused by the parsers.
        self.present |= known.bit();
        self.list.push(Entry {
            plain,
            name: name as u32,
            value: value as u32,
            value_len: value_len as u32,
            name_len: name_len as u16,
            known,
        });
    }

    /// Bytes of the loaded text.
    pub(crate) fn text(&self, span: Span) -> &[u8] {
        &self.text[span.start as usize..(span.start + span.len) as usize]
    }

    fn field(&self, entry: &Entry) -> Field<'_> {
        let name = entry.name as usize;
        let value = entry.value as usize;
        Field {
            name: &self.text[name..name + entry.name_len as usize],
            value: &self.text[value..value + entry.value_len as usize],
            known: entry.known,
        }
    }
}

/// A range of a head's bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn new(start: usize, len: usize) -> Span {
        Span { start: start as u32, len: len as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_as_they_should_be_however_they_came() {
        let text = b"A: 1\r\nB:2\r\nC: 3 \r\nD: 4\r\nE: 5\r\nF:\r\nG: 7\r\n";
        let mut fields = Fields::default();
        fields.load(text);
        for (name, value, length, plain) in [
            (0, 3, 1, true),
            (6, 8, 1, false),
            (11, 14, 1, false),
            (18, 21, 1, true),
            (24, 27, 1, true),
            (30, 31, 0, false),
            (34, 37, 1, true),
        ] {
            fields.entry(name, 1, value, length, plain);
        }
        fields.push(b"H", b"8");
        let mut out = b"| ".to_vec();
        fields.write_to(&mut out, |_| true);
        let all = "| A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: \r\nG: 7\r\nH: 8\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), all);
        let mut out = Vec::new();
        fields.write_to(&mut out, |field| !matches!(field.name, b"A" | b"D" | b"H"));
        let some = "B: 2\r\nC: 3\r\nE: 5\r\nF: \r\nG: 7\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), some);
    }

    #[test]
    fn pushed_fields_come_back_in_order() {
        let mut fields = Fields::default();
        fields.push(b"Host", b"a.example");
        fields.push(b"X-A", b"1");
        fields.push(b"x-a", b"2");
        fields.push_with(Known::Date, b"Date", |value| value.extend_from_slice(b"now"));
        assert_eq!(fields.len(), 4);
        assert_eq!(fields.first(Known::Date), Some(&b"now"[..]));
        assert_eq!(fields.first(Known::Host), Some(&b"a.example"[..]));
        assert_eq!(fields.all(b"X-a").collect::<Vec<_>>(), [b"1", b"2"]);
        fields.clear();
        assert!(fields.is_empty());
    }
}
