//! What was found wrong, all of it at once: each fault with its place, what is expected and a hint,
//! rendered the way rustc does. A report owns the lines it shows, so it outlives the configuration
//! it is about.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// How bad a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but surely not as meant.
    Warning,
}

/// A place in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user would name it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is to be said at this place; may be empty.
    pub label: String,
    /// The line or lines of the file that the place covers.
    #[serde(skip)]
    pub(crate) lines: String,
    /// Where in `lines` the place is.
    #[serde(skip)]
    pub(crate) range: Range<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where; the first is the culprit, others are what it clashes with. Empty when the fault is in
    /// no file, such as a folder that cannot be read.
    pub places: Vec<Place>,
    /// What may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Fault {
    /// An error in no particular place.
    pub fn error(message: impl Into<String>) -> Self {
        Fault { severity: Severity::Error, message: message.into(), places: Vec::new(), help: None }
    }
}

/// Everything that was found, errors first, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Report {
    faults: Vec<Fault>,
}

impl Report {
    /// A report of these faults.
    pub fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|a, b| {
            let key = |fault: &Fault| {
                let place = fault.places.first();
                (fault.severity, place.map(|p| (p.file.clone(), p.line, p.column)))
            };
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        faults.dedup();
        Report { faults }
    }

    /// A report of one error, at a place if there is one: for what a later step finds, such as a
    /// key that does not belong to its certificate. See [`crate::Loader::locate`].
    pub fn at(place: Option<Place>, message: impl Into<String>) -> Self {
        let mut fault = Fault::error(message);
        fault.places.extend(place);
        Report { faults: vec![fault] }
    }

    /// The same for something that can be used, but surely not as meant.
    pub fn warning_at(place: Option<Place>, message: impl Into<String>) -> Self {
        let mut report = Report::at(place, message);
        report.faults.iter_mut().for_each(|fault| fault.severity = Severity::Warning);
        report
    }

    /// Says of all that it tells what may help.
    #[must_use]
    pub fn with_help(mut self, help: Option<&str>) -> Self {
        if let Some(help) = help {
            self.faults.iter_mut().for_each(|fault| fault.help = Some(help.to_owned()));
        }
        self
    }

    /// Adds what another report says.
    pub fn merge(self, other: Report) -> Self {
        let mut faults = self.faults;
        faults.extend(other.faults);
        Report::new(faults)
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.faults.iter().filter(|fault| fault.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.faults.len() - self.errors()
    }

    /// The report for people, with terminal colours if asked; ends with a newline unless empty.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for fault in &self.faults {
            if !out.is_empty() {
                out.push('\n');
            }
            render_fault(&renderer, fault, &mut out);
        }
        out
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

fn render_fault(renderer: &Renderer, fault: &Fault, out: &mut String) {
    let level = match fault.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(fault.message.as_str());
    let mut elements = title.elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    // Places on one line are drawn below one copy of it.
    let same_line =
        |a: &Place, b: &Place| a.file == b.file && a.line == b.line && a.lines == b.lines;
    let mut primary = true;
    for places in fault.places.chunk_by(same_line) {
        let mut snippet = Snippet::source(places[0].lines.as_str())
            .line_start(places[0].line)
            .path(&*places[0].file);
        for place in places {
            let kind = if primary { AnnotationKind::Primary } else { AnnotationKind::Context };
            primary = false;
            let annotation = kind.span(place.range.clone());
            snippet = snippet.annotation(match place.label.as_str() {
                "" => annotation,
                label => annotation.label(label),
            });
        }
        elements = elements.element(snippet);
    }
    if let Some(help) = &fault.help {
        elements = elements.element(Level::HELP.message(help.as_str()));
    }
    out.push_str(renderer.render(&[elements]).trim_end());
    out.push('\n');
}

/// The text of a file and where its lines begin; made only when there is something to report.
pub(crate) struct Lines<'a> {
    file: Arc<str>,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(file: Arc<str>, text: &'a str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Lines { file, text, starts }
    }

    /// The place of a byte range. A range over many lines is cut to its first.
    pub(crate) fn place(&self, start: usize, end: usize, label: String) -> Place {
        let start = floor_char(self.text, start.min(self.text.len()));
        let line = self.starts.partition_point(|at| *at <= start).max(1);
        let from = self.starts.get(line - 1).copied().unwrap_or(0);
        let to = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let shown = self.text[from..to].trim_end_matches('\r');
        let start_in = (start - from).min(shown.len());
        let end_in = floor_char(shown, end.saturating_sub(from).min(shown.len())).max(start_in);
        let (lines, range) = window(shown, start_in..end_in);
        Place {
            file: self.file.clone(),
            line,
            column: self.text[from..start].chars().count() + 1,
            label,
            lines,
            range,
        }
    }
}

/// Cuts a very long line (a whole JSON file may be one) to what surrounds the range.
fn window(line: &str, range: Range<usize>) -> (String, Range<usize>) {
    const AROUND: usize = 120;
    if line.len() <= 2 * AROUND {
        return (line.to_owned(), range);
    }
    let from = floor_char(line, range.start.saturating_sub(AROUND));
    let to = floor_char(line, (range.end.min(range.start + AROUND) + AROUND).min(line.len()));
    let end = range.end.min(to);
    (line[from..to].to_owned(), range.start - from..end - from)
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The name nearest to what was written, if one is near enough to be a slip.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = written.chars().count();
    let longest = (length / 3).clamp(1, 3).min(length.saturating_sub(1));
    known
        .into_iter()
        .map(|name| {
            (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name)
        })
        .filter(|(distance, _)| *distance <= longest)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_counts_characters_and_cuts_lines() {
        let lines = Lines::new("a.yaml".into(), "é: 1\nßß: two\r\nlast");
        let place = lines.place(12, 15, String::new());
        assert_eq!((place.line, place.column), (2, 5));
        assert_eq!(&place.lines[place.range.clone()], "two");
        assert_eq!(place.lines, "ßß: two");
        let end = lines.place(1000, 2000, String::new());
        assert_eq!((end.line, end.column), (3, 5));
    }

    #[test]
    fn renders_like_rustc() {
        let lines = Lines::new("gate.yaml".into(), "routes:\n  a: { servce: x }\n");
        let mut fault = Fault::error("unknown key `servce`");
        fault.places.push(lines.place(15, 21, "not known here".into()));
        fault.help = Some("did you mean `service`?".into());
        let report = Report::new(vec![fault]);
        let text = report.render(false);
        assert!(text.starts_with("error: unknown key `servce`\n"), "{text}");
        assert!(text.contains("gate.yaml:2:8"), "{text}");
        assert!(text.contains("^^^^^^ not known here"), "{text}");
        assert!(text.contains("help: did you mean `service`?"), "{text}");
        assert!(report.render(true).contains("\u{1b}["));
        assert_eq!(serde_json::to_value(&report).unwrap()[0]["places"][0]["line"], 2);
    }

    #[test]
    fn long_lines_are_cut() {
        let text = format!("{{{}\"bad\": 1}}", "\"é\": 1, ".repeat(5000));
        let at = text.find("bad").unwrap();
        let place = Lines::new("x".into(), &text).place(at, at + 3, String::new());
        assert!(place.lines.len() < 400);
        assert_eq!(&place.lines[place.range.clone()], "bad");
    }

    #[test]
    fn nearest_names() {
        assert_eq!(nearest("servce", ["service", "split"]), Some("service"));
        assert_eq!(nearest("Service", ["service"]), Some("service"));
        assert_eq!(nearest("banana", ["service", "split"]), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
