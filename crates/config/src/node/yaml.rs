//! YAML into nodes, from the events of `saphyr-parser`. Plain scalars follow the YAML 1.2 core
//! schema, so `no` is a string. Anchors and aliases work; what aliases may add is bounded, so a few
//! lines cannot expand to gigabytes.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks, StrInput, Tag};

use super::{DEEPEST, Finding, Kind, Map, Node, Span};

/// The most nodes that all aliases of a text may add.
const MOST_ALIASED: usize = 200_000;

/// Reads one document; `None` when the text is not YAML or has no content that can be used. An
/// empty document is an empty map.
pub(crate) fn read(text: &str, findings: &mut Vec<Finding>) -> Option<Node> {
    let mut reader = Reader::new(text);
    match reader.document() {
        Ok(node) => {
            findings.append(&mut reader.findings);
            Some(node)
        }
        Err(finding) => {
            findings.append(&mut reader.findings);
            findings.push(finding);
            None
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    offsets: Offsets,
    findings: Vec<Finding>,
    /// Open containers, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    aliased: usize,
}

struct Open {
    node: Container,
    start: Span,
    anchor: usize,
}

enum Container {
    List(Vec<Node>),
    Map { map: Map, key: Option<(Box<str>, Span)> },
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader {
            parser: Parser::new_from_str(text),
            offsets: Offsets::new(text),
            findings: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
        }
    }

    fn document(&mut self) -> Result<Node, Finding> {
        let mut root = None;
        let mut documents = 0;
        while let Some(next) = self.parser.next_event() {
            let (event, marks) = next.map_err(|error| {
                let at = self.offsets.byte(error.marker().index());
                Finding::error(Span::new(at, at + 1), format!("this is not YAML: {}", error.info()))
            })?;
            let span = self.span(marks);
            let done = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Finding::error(
                            span,
                            "a configuration file is one YAML document",
                        )
                        .label("a second one begins here"));
                    }
                    None
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.scalar(text, style, anchor, tag.as_deref(), span)?
                }
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), span);
                    self.enter(Container::List(Vec::new()), span, anchor)?;
                    None
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), span);
                    self.enter(Container::Map { map: Map::default(), key: None }, span, anchor)?;
                    None
                }
                Event::SequenceEnd | Event::MappingEnd => self.leave(span)?,
                Event::Alias(anchor) => self.alias(anchor, span)?,
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => None,
            };
            root = done.or(root);
        }
        Ok(match root {
            Some(Node { kind: Kind::Null, span, .. }) => Node::new(span, Kind::Map(Map::default())),
            Some(node) => node,
            None => Node::new(Span::default(), Kind::Map(Map::default())),
        })
    }

    fn span(&self, marks: Marks) -> Span {
        Span::new(self.offsets.byte(marks.start.index()), self.offsets.byte(marks.end.index()))
    }

    fn enter(&mut self, node: Container, start: Span, anchor: usize) -> Result<(), Finding> {
        if self.open.len() >= DEEPEST {
            return Err(Finding::error(start, format!("nested deeper than {DEEPEST} levels")));
        }
        if let Some(Open { node: Container::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Finding::error(start, "a key must be a plain string"));
        }
        self.open.push(Open { node, start, anchor });
        Ok(())
    }

    fn leave(&mut self, end: Span) -> Result<Option<Node>, Finding> {
        let Some(open) = self.open.pop() else {
            return Ok(None);
        };
        let node = match open.node {
            Container::List(items) => Node::new(
                extent(open.start, end, items.first().map(|item| item.span)),
                Kind::List(items),
            ),
            Container::Map { map, .. } => {
                let first = map.entries.first().map(|entry| entry.key_span);
                let map = map.without_doubles(&mut self.findings);
                Node::new(extent(open.start, end, first), Kind::Map(map))
            }
        };
        self.remember(open.anchor, &node);
        self.put(node)
    }

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Option<Node>, Finding> {
        if let Some(Open { node: Container::Map { key: key @ None, .. }, .. }) =
            self.open.last_mut()
        {
            *key = Some((text.as_ref().into(), span));
            return Ok(None);
        }
        let as_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
        if !as_text {
            self.refuse_tag(tag, span);
        }
        let kind = match style {
            ScalarStyle::Plain if !as_text => plain(&text),
            _ => Kind::Text(text.as_ref().into()),
        };
        let node = Node::new(span, kind);
        self.remember(anchor, &node);
        self.put(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Option<Node>, Finding> {
        if let Some(Open { node: Container::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Finding::error(span, "a key must be a plain string"));
        }
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Finding::error(span, "this alias stands inside what it names"));
        };
        self.aliased += size;
        if self.aliased > MOST_ALIASED {
            return Err(Finding::error(span, "the aliases of this file expand to too much")
                .label(format!("more than {MOST_ALIASED} values by here")));
        }
        let node = node.clone();
        if self.open.len() + depth(&node) > DEEPEST {
            return Err(Finding::error(span, format!("nested deeper than {DEEPEST} levels")));
        }
        self.put(node)
    }

    /// Anchor ids begin at 1; 0 is no anchor.
    fn remember(&mut self, anchor: usize, node: &Node) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count(node)));
        }
    }

    fn put(&mut self, node: Node) -> Result<Option<Node>, Finding> {
        match self.open.last_mut() {
            None => return Ok(Some(node)),
            Some(Open { node: Container::List(items), .. }) => items.push(node),
            Some(Open { node: Container::Map { map, key }, start, .. }) => match key.take() {
                Some((key, key_span)) => map.push(&key, key_span, node),
                None => return Err(Finding::error(*start, "a value without a key")),
            },
        }
        Ok(None)
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: Span) {
        if let Some(tag) = tag {
            self.findings.push(
                Finding::error(span, format!("the YAML tag `{tag}` means nothing here"))
                    .help("remove the tag; quote the value if it is to be a string"),
            );
        }
    }
}

/// What a container covers: all of a flow one (its start event has the bracket), but only the
/// beginning of a block one, whose end event stands at whatever comes next.
fn extent(start: Span, end: Span, first: Option<Span>) -> Span {
    if start.end > start.start {
        return Span { start: start.start, end: end.end };
    }
    first.unwrap_or(start)
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::List(items) => items.iter().map(count).sum(),
        Kind::Map(map) => map.entries.iter().map(|entry| count(&entry.value)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(map) => 1 + map.entries.iter().map(|e| depth(&e.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// A plain scalar by the YAML 1.2 core schema (10.3.2).
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        _ => {}
    }
    let looks_numeric = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    if looks_numeric {
        let radix = |prefix, radix| {
            text.strip_prefix(prefix).and_then(|rest: &str| i64::from_str_radix(rest, radix).ok())
        };
        if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
            return Kind::Int(number);
        }
        if text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            if let Ok(number) = text.parse::<i64>() {
                return Kind::Int(number);
            }
            if let Ok(number) = text.parse::<f64>() {
                return Kind::Float(number);
            }
        }
    }
    Kind::Text(text.into())
}

/// Turns the parser's character positions into byte positions.
enum Offsets {
    Ascii(usize),
    Table(Vec<u32>),
}

impl Offsets {
    fn new(text: &str) -> Self {
        if text.is_ascii() {
            return Offsets::Ascii(text.len());
        }
        let ends = std::iter::once(text.len());
        Offsets::Table(
            text.char_indices().map(|(at, _)| at).chain(ends).map(|at| at as u32).collect(),
        )
    }

    fn byte(&self, character: usize) -> usize {
        match self {
            Offsets::Ascii(length) => character.min(*length),
            Offsets::Table(table) => {
                table.get(character).or(table.last()).map_or(0, |byte| *byte as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(text: &str) -> Node {
        let mut findings = Vec::new();
        let node = read(text, &mut findings);
        assert_eq!(findings, []);
        node.unwrap()
    }

    fn bad(text: &str) -> String {
        let mut findings = Vec::new();
        read(text, &mut findings);
        findings[0].message.clone()
    }

    fn entry<'a>(node: &'a Node, key: &str) -> &'a super::super::Entry {
        let Kind::Map(map) = &node.kind else { panic!("not a map") };
        map.find(key).unwrap()
    }

    #[test]
    fn core_schema() {
        let node = good(
            "{a: no, b: True, c: 0x10, d: 1.5, e: ~, f: 1_000, g: 08, h: 'true', i: !!str 5, j: -7}",
        );
        let kind = |key| format!("{:?}", entry(&node, key).value.kind);
        assert_eq!(kind("a"), r#"Text("no")"#);
        assert_eq!(kind("b"), "Bool(true)");
        assert_eq!(kind("c"), "Int(16)");
        assert_eq!(kind("d"), "Float(1.5)");
        assert_eq!(kind("e"), "Null");
        assert_eq!(kind("f"), r#"Text("1_000")"#);
        assert_eq!(kind("g"), "Int(8)");
        assert_eq!(kind("h"), r#"Text("true")"#);
        assert_eq!(kind("i"), r#"Text("5")"#);
        assert_eq!(kind("j"), "Int(-7)");
    }

    #[test]
    fn spans_are_bytes() {
        let text = "é: ß\nlist:\n  - 'ü'\n  - {x: \"y\"}\n";
        let node = good(text);
        let shown = |span: Span| &text[span.start as usize..span.end as usize];
        let first = entry(&node, "é");
        assert_eq!((shown(first.key_span), shown(first.value.span)), ("é", "ß"));
        let Kind::List(items) = &entry(&node, "list").value.kind else { panic!("not a list") };
        assert_eq!(shown(items[0].span), "'ü'");
        assert_eq!(shown(items[1].span), "{x: \"y\"}");
    }

    #[test]
    fn doubles_name_both_places() {
        let mut findings = Vec::new();
        read("a: 1\nb: 2\na: 3\n", &mut findings);
        assert_eq!(findings[0].at, Span::new(10, 11));
        assert_eq!(findings[0].also, Some((Span::new(0, 1), "first here".into())));
    }

    #[test]
    fn aliases_expand_within_bounds() {
        let node = good("a: &x [1, 2]\nb: *x\n");
        assert_eq!(count(&entry(&node, "b").value), 3);
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let below = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", "));
        }
        assert!(bad(&bomb).contains("expand to too much"));
        assert!(bad("a: &a [*a]\n").contains("alias"));
        assert!(bad("a: *nowhere\n").contains("not YAML"));
    }

    #[test]
    fn refuses_what_it_cannot_mean() {
        assert!(bad(&"[".repeat(100)).contains("nested deeper"));
        assert!(bad("a: 1\n---\nb: 2\n").contains("one YAML document"));
        assert!(bad("? [a]\n: 1\n").contains("key must be"));
        assert!(bad("a: !thing 1\n").contains("tag"));
        assert!(bad("a: [1\n").contains("not YAML"));
        assert!(matches!(good("# nothing\n").kind, Kind::Map(_)));
    }
}
