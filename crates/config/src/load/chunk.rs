//! Splits a YAML file into its entries by indentation, without parsing it, so that a reload parses
//! only the entries that changed.
//!
//! It is careful rather than clever: whatever is unusual (document markers, tabs in front, flow style
//! at the top, uneven indentation) makes it give up, and the file is parsed as a whole. An entry that
//! does not parse alone does the same. So an alias whose anchor is in another entry, a bracket or a
//! quote that spans entries, all lead to the whole parse and never to another meaning.

use super::unit::Collection;

/// A stretch of the file; each begins where the one before ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) kind: PieceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PieceKind {
    /// Comments and blank lines before the first key.
    Loose,
    /// The line of a collection's key, whose entries follow at this indentation.
    Header(Collection),
    /// One entry of a collection, at this indentation.
    Entry(Collection, u16),
    /// A key of the top level with all that belongs to it.
    Block,
}

/// The pieces of a file, or `None` when it is unusual.
pub(crate) fn split(text: &str) -> Option<Vec<Piece>> {
    let mut splitter = Splitter { pieces: Vec::new(), section: None, indent: None };
    splitter.begin(0, PieceKind::Loose);
    splitter.run(text, 0)?;
    let pieces = splitter.finish(text.len());
    // A key that is there twice is for the parser to report.
    let headers = pieces.iter().filter_map(|piece| match piece.kind {
        PieceKind::Header(collection) => Some(collection),
        _ => None,
    });
    let mut seen = Vec::new();
    for header in headers {
        if seen.contains(&header) {
            return None;
        }
        seen.push(header);
    }
    Some(pieces)
}

/// The pieces of a stretch in the middle of a collection, or `None` when it is anything but entries
/// of this indentation. `base` is where the stretch begins in the file.
pub(crate) fn split_entries(
    stretch: &str,
    base: usize,
    collection: Collection,
    indent: u16,
) -> Option<Vec<Piece>> {
    let mut splitter = Splitter {
        pieces: Vec::new(),
        section: Some(collection),
        indent: Some(usize::from(indent)),
    };
    splitter.run(stretch, base)?;
    let pieces = splitter.finish(base + stretch.len());
    let starts_well =
        pieces.first().map_or(stretch.is_empty(), |piece| piece.start as usize == base);
    let only_entries = pieces.iter().all(|piece| matches!(piece.kind, PieceKind::Entry(..)));
    (starts_well && only_entries).then_some(pieces)
}

struct Splitter {
    pieces: Vec<Piece>,
    /// The collection whose entries are being read.
    section: Option<Collection>,
    indent: Option<usize>,
}

impl Splitter {
    fn run(&mut self, text: &str, base: usize) -> Option<()> {
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            self.line(line, base + at)?;
            at += line.len();
        }
        Some(())
    }

    fn line(&mut self, line: &str, at: usize) -> Option<()> {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        match content.as_bytes().first() {
            None | Some(b'\n' | b'#') => return Some(()),
            Some(b'\r') if content == "\r\n" => return Some(()),
            Some(b'\t' | b'\r') => return None,
            _ => {}
        }
        // YAML also ends a line at a lone carriage return.
        if content.trim_end_matches(['\n', '\r']).contains('\r') {
            return None;
        }
        if indent == 0 {
            return self.top(content, at);
        }
        let Some(section) = self.section else {
            // Below a key of the top level, but not before the first.
            let below = matches!(self.pieces.last(), Some(Piece { kind: PieceKind::Block, .. }));
            return below.then_some(());
        };
        let expected = *self.indent.get_or_insert(indent);
        if indent == expected && starts_key(content) {
            self.begin(at, PieceKind::Entry(section, u16::try_from(indent).ok()?));
        } else if indent <= expected {
            return None;
        }
        Some(())
    }

    fn top(&mut self, content: &str, at: usize) -> Option<()> {
        if !content.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return None;
        }
        let (key, rest) = content.split_once(':')?;
        let after = rest.trim_end();
        let alone =
            after.is_empty() || after.trim_start().starts_with('#') && after.starts_with(' ');
        self.section = Collection::of(key).filter(|_| alone);
        self.indent = None;
        self.begin(at, self.section.map_or(PieceKind::Block, PieceKind::Header));
        Some(())
    }

    fn begin(&mut self, at: usize, kind: PieceKind) {
        if let Some(last) = self.pieces.last_mut() {
            last.end = at as u32;
        }
        self.pieces.push(Piece { start: at as u32, end: at as u32, kind });
    }

    fn finish(mut self, end: usize) -> Vec<Piece> {
        if let Some(last) = self.pieces.last_mut() {
            last.end = end as u32;
        }
        self.pieces
    }
}

fn starts_key(content: &str) -> bool {
    content.starts_with(|c: char| c.is_ascii_alphanumeric() || "_\"'".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<(PieceKind, &str)>> {
        let pieces = split(text)?;
        assert_eq!(pieces.iter().map(|p| (p.end - p.start) as usize).sum::<usize>(), text.len());
        Some(pieces.iter().map(|p| (p.kind, &text[p.start as usize..p.end as usize])).collect())
    }

    #[test]
    fn splits_by_indentation() {
        let text = "# top\nadmin: off\nroutes: # all\n\n  a:\n    service: x\n  # on b\n  b: { service: y }\nshutdown:\n  deadline: 1s\n";
        assert_eq!(
            shown(text).unwrap(),
            [
                (PieceKind::Loose, "# top\n"),
                (PieceKind::Block, "admin: off\n"),
                (PieceKind::Header(Collection::Routes), "routes: # all\n\n"),
                (PieceKind::Entry(Collection::Routes, 2), "  a:\n    service: x\n  # on b\n"),
                (PieceKind::Entry(Collection::Routes, 2), "  b: { service: y }\n"),
                (PieceKind::Block, "shutdown:\n  deadline: 1s\n"),
            ]
        );
    }

    #[test]
    fn gives_up_on_the_unusual() {
        for text in [
            "---\nroutes:\n",
            "{routes: {}}\n",
            "%YAML 1.2\n",
            "\troutes:\n",
            "routes:\n- a\n",
            "routes:\n  - a\n",
            "routes:\n    a: 1\n  b: 2\n",
            "routes:\n\ta: 1\n",
            "routes:\nroutes:\n",
            "\u{feff}routes:\n",
            "routes:\n  a: 1\r  b: 2\n",
            "? a\n",
            "routes:\n  &x a: 1\n",
            "word\n",
            "  a: 1\nroutes:\n",
        ] {
            assert_eq!(split(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_stretch_is_entries_only() {
        let split = |text| split_entries(text, 10, Collection::Routes, 2);
        assert_eq!(split("  a: 1\n  b: 2\n").unwrap().len(), 2);
        assert_eq!(split("").unwrap().len(), 0);
        assert_eq!(split("  a: 1\nadmin: off\n"), None);
        assert_eq!(split("    a: 1\n"), None);
        assert_eq!(split("  a: 1\n b: 2\n"), None);
    }
}
