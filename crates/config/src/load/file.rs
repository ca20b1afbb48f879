//! One configuration file between two loads: its text, its units, and how they are brought to a new
//! text.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::Format;
use super::chunk::{self, Piece, PieceKind};
use super::entries::Entries;
use super::unit::{Collection, KEYS, SETTINGS, Unit, UnitId};
use crate::inputs::Inputs;
use crate::node::{Entry, Finding, Kind, Node, json, toml, yaml};
use crate::report::nearest;

/// A stretch of the text and the unit in it, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) piece: Piece,
    pub(crate) unit: Option<UnitId>,
}

/// A file as of the last load.
pub(crate) struct FileState {
    pub(crate) id: u32,
    pub(crate) shown: Arc<str>,
    pub(crate) format: Format,
    pub(crate) text: String,
    /// In the order of the text. When the file was parsed as a whole, every piece is all of it.
    pub(crate) slots: Vec<Slot>,
    /// What is wrong with the file outside of its units.
    pub(crate) findings: Vec<Finding>,
    /// The text could not be parsed: what is absent is not the user's fault.
    pub(crate) broken: bool,
    split: bool,
}

/// What a refresh works with.
struct Work<'a> {
    entries: &'a mut Entries,
    inputs: &'a mut Inputs,
    added: &'a mut Vec<UnitId>,
}

impl FileState {
    pub(crate) fn new(id: u32, path: &Path, format: Format) -> Self {
        FileState {
            id,
            shown: path.display().to_string().into(),
            format,
            text: String::new(),
            slots: Vec::new(),
            findings: Vec::new(),
            broken: false,
            split: false,
        }
    }

    pub(crate) fn units(&self) -> impl Iterator<Item = UnitId> {
        self.slots.iter().filter_map(|slot| slot.unit)
    }

    /// Brings the file to a new text. Units that go are pushed to `removed`, new ones to `added`.
    pub(crate) fn refresh(
        &mut self,
        text: String,
        stale: &HashSet<UnitId>,
        entries: &mut Entries,
        inputs: &mut Inputs,
        removed: &mut Vec<UnitId>,
        added: &mut Vec<UnitId>,
    ) {
        let is_stale = !stale.is_empty() && self.units().any(|unit| stale.contains(&unit));
        if text == self.text && !is_stale && !(self.slots.is_empty() && self.findings.is_empty()) {
            return;
        }
        let already_added = added.len();
        let mut work = Work { entries, inputs, added };
        let done = (self.format == Format::Yaml)
            .then(|| self.by_pieces(&text, stale, &mut work))
            .flatten();
        match done {
            Some((slots, gone)) => {
                removed.extend(gone);
                self.slots = slots;
                self.findings.clear();
                self.broken = false;
                self.split = true;
            }
            None => {
                // What the pieces gave until one failed is not used.
                for unit in work.added.drain(already_added..).collect::<Vec<_>>() {
                    work.entries.forget(unit);
                }
                removed.extend(self.units());
                self.whole(&text, &mut work);
                self.split = false;
            }
        }
        self.text = text;
    }

    /// The new slots and the units that are gone, if the text can be split.
    fn by_pieces(
        &self,
        text: &str,
        stale: &HashSet<UnitId>,
        work: &mut Work<'_>,
    ) -> Option<(Vec<Slot>, Vec<UnitId>)> {
        let patch = self.split.then(|| self.patch(text)).flatten();
        let Patch { first, last, pieces, shift } = match patch {
            Some(patch) => patch,
            None => {
                Patch { first: 0, last: self.slots.len(), pieces: chunk::split(text)?, shift: 0 }
            }
        };
        // Entries that only moved are known by their text.
        let replaced = if self.split { &self.slots[first..last] } else { &[] };
        let mut known: HashMap<(PieceKind, &str), UnitId> = replaced
            .iter()
            .filter_map(|slot| {
                let unit = slot.unit.filter(|unit| !stale.contains(unit))?;
                Some(((slot.piece.kind, self.slice(slot)), unit))
            })
            .collect();
        let mut slots = Vec::with_capacity(self.slots.len() + pieces.len());
        if self.split {
            slots.extend_from_slice(&self.slots[..first]);
        }
        for piece in pieces {
            let slice = &text[piece.start as usize..piece.end as usize];
            let unit = match known.remove(&(piece.kind, slice)) {
                Some(unit) => Some(unit),
                None => self.piece_unit(slice, piece.kind, work)?,
            };
            slots.push(Slot { piece, unit });
        }
        let kept: HashSet<UnitId> = slots[first..].iter().filter_map(|slot| slot.unit).collect();
        let gone = if self.split { &self.slots[first..last] } else { &self.slots[..] };
        let mut gone: Vec<UnitId> =
            gone.iter().filter_map(|slot| slot.unit).filter(|unit| !kept.contains(unit)).collect();
        if self.split {
            slots.extend(self.slots[last..].iter().map(|slot| moved(*slot, shift)));
        }
        if !stale.is_empty() {
            for slot in &mut slots {
                let Some(unit) = slot.unit.filter(|unit| stale.contains(unit)) else {
                    continue;
                };
                let slice = &text[slot.piece.start as usize..slot.piece.end as usize];
                slot.unit = self.piece_unit(slice, slot.piece.kind, work)?;
                gone.push(unit);
            }
        }
        Some((slots, gone))
    }

    fn slice(&self, slot: &Slot) -> &str {
        &self.text[slot.piece.start as usize..slot.piece.end as usize]
    }

    /// Finds the entries that an edit touched, if it touched nothing else: all slots before `first`
    /// and from `last` on are the same text, the latter moved by `shift`.
    fn patch(&self, text: &str) -> Option<Patch> {
        let (old, new) = (self.text.as_bytes(), text.as_bytes());
        let prefix = common_prefix(old, new);
        let longest = old.len().min(new.len()) - prefix;
        let suffix = common_suffix(&old[old.len() - longest..], &new[new.len() - longest..]);
        // One entry before the edit comes along: the edit may have made its next line part of it.
        let first = self.slots.partition_point(|slot| slot.piece.end as usize <= prefix);
        let first = first.checked_sub(1)?;
        // The newline in front of what is kept must be in the common end as well.
        let last = self
            .slots
            .partition_point(|slot| slot.piece.start as usize <= old.len() - suffix)
            .max(first);
        let touched = &self.slots[first..last];
        let PieceKind::Entry(collection, indent) = touched.first()?.piece.kind else {
            return None;
        };
        if touched.iter().any(|slot| slot.piece.kind != PieceKind::Entry(collection, indent)) {
            return None;
        }
        let start = touched.first()?.piece.start as usize;
        let old_end = touched.last()?.piece.end as usize;
        let end = new.len() - (old.len() - old_end);
        let pieces = chunk::split_entries(text.get(start..end)?, start, collection, indent)?;
        // No entry may be left over for a header that the whole split would treat differently.
        let shift = i64::try_from(new.len()).ok()? - i64::try_from(old.len()).ok()?;
        (!pieces.is_empty()).then_some(Patch { first, last, pieces, shift })
    }

    /// The unit of a piece; `None` when it does not parse alone.
    fn piece_unit(
        &self,
        slice: &str,
        kind: PieceKind,
        work: &mut Work<'_>,
    ) -> Option<Option<UnitId>> {
        let expected = match kind {
            PieceKind::Loose | PieceKind::Header(_) => return Some(None),
            PieceKind::Entry(collection, _) => Some(collection),
            PieceKind::Block => None,
        };
        let mut findings = Vec::new();
        let Node { kind: Kind::Map(map), .. } = yaml::read(slice, &mut findings)? else {
            return None;
        };
        let [_] = map.entries.as_slice() else {
            return None;
        };
        let entry = map.entries.into_iter().next()?;
        let collection = match expected {
            Some(collection) => collection,
            None if SETTINGS.contains(&&*entry.key) => Collection::Settings,
            // `routes: {}`, or a key that nobody knows.
            None => return None,
        };
        let unit = Unit::evaluate(self.id, collection, entry, findings, work.inputs);
        let id = work.entries.insert(unit);
        work.added.push(id);
        Some(Some(id))
    }

    /// Parses the whole text.
    fn whole(&mut self, text: &str, work: &mut Work<'_>) {
        self.findings.clear();
        self.slots.clear();
        let root = match self.format {
            Format::Yaml => yaml::read(text, &mut self.findings),
            Format::Json => json::read(text, &mut self.findings),
            Format::Toml => toml::read(text, &mut self.findings),
        };
        self.broken = root.is_none();
        let Some(root) = root else { return };
        let Node { span, kind, .. } = root;
        let Kind::Map(map) = kind else {
            self.broken = true;
            self.findings.push(
                Finding::error(span, "a configuration is a map")
                    .label("expected keys such as `listeners:`"),
            );
            return;
        };
        for entry in map.entries {
            self.top_entry(entry, work);
        }
    }

    fn top_entry(&mut self, entry: Entry, work: &mut Work<'_>) {
        let Some(collection) = Collection::of(&entry.key) else {
            if SETTINGS.contains(&&*entry.key) {
                self.whole_unit(Collection::Settings, entry, work);
            } else {
                let finding =
                    Finding::error(entry.key_span, format!("unknown key `{}`", entry.key));
                self.findings.push(match nearest(&entry.key, KEYS.iter().copied()) {
                    Some(near) => finding.help(format!("did you mean `{near}`?")),
                    None => finding.help(format!("known here: `{}`", KEYS.join("`, `"))),
                });
            }
            return;
        };
        match entry.value.kind {
            Kind::Map(map) => {
                for entry in map.entries {
                    self.whole_unit(collection, entry, work);
                }
            }
            Kind::Null => {}
            _ => {
                let found = entry.value.kind_name();
                self.findings.push(
                    Finding::error(entry.value.span, format!("wrong type: {found}"))
                        .label(format!("expected a map of names to {}", entry.key)),
                );
            }
        }
    }

    fn whole_unit(&mut self, collection: Collection, entry: Entry, work: &mut Work<'_>) {
        let unit = Unit::evaluate(self.id, collection, entry, Vec::new(), work.inputs);
        let id = work.entries.insert(unit);
        work.added.push(id);
        let piece = Piece { start: 0, end: 0, kind: PieceKind::Block };
        self.slots.push(Slot { piece, unit: Some(id) });
    }
}

struct Patch {
    first: usize,
    last: usize,
    pieces: Vec<Piece>,
    shift: i64,
}

fn moved(mut slot: Slot, shift: i64) -> Slot {
    // The new text is below 4 GiB as the old one was.
    slot.piece.start = (i64::from(slot.piece.start) + shift) as u32;
    slot.piece.end = (i64::from(slot.piece.end) + shift) as u32;
    slot
}

/// Compares by blocks first: `==` on slices is a `memcmp`.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 4096;
    let blocks =
        a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count();
    let start = blocks * BLOCK;
    start + a[start..].iter().zip(&b[start..]).take_while(|(a, b)| a == b).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 4096;
    let blocks =
        a.rchunks_exact(BLOCK).zip(b.rchunks_exact(BLOCK)).take_while(|(a, b)| a == b).count();
    let end = blocks * BLOCK;
    let (a, b) = (&a[..a.len() - end], &b[..b.len() - end]);
    end + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}
