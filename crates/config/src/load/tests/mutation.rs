//! Valid configurations with chance damage: nothing panics, and a reload by pieces gives just what a
//! first load and a whole parse give.

use super::*;

/// A small generator of chance (xorshift), so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }
}

const BITS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "\"",
    "'",
    "#",
    " #",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    " ",
    "  ",
    "\t",
    "&a ",
    "*a",
    "!x ",
    "|",
    ">",
    "|\n",
    "---\n",
    "...",
    "%",
    "?",
    "? ",
    ",",
    "\r",
    "\r\n",
    "\u{feff}",
    "é",
    "\0",
    "routes:\n",
    "tcp_routes:\n",
    "protocol: tcp",
    "tcp",
    "  t2: { listener: edge, service: mail }\n",
    "tls: {}\n",
    "sni: a.example",
    "  r2:\n    reply: {}\n",
    "  everything:\n",
    "${X}",
    "file:x",
    "null",
    "1e999",
    "~",
    "<<: ",
    "true",
    "0x",
    "''",
    "\\",
    "/",
    "*",
    "service: users",
    "a: &a b\n",
    "priority: 1",
    "1_0",
    "off",
];

fn damage(text: &str, chance: &mut Chance) -> String {
    let mut text = text.to_owned();
    for _ in 0..=chance.next(2) {
        let spot = |text: &str, chance: &mut Chance| {
            let mut at = chance.next(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let at = spot(&text, chance);
        let to = spot(&text, chance);
        let near =
            (at..=text.len()).take(12).filter(|i| text.is_char_boundary(*i)).last().unwrap_or(at);
        match chance.next(6) {
            0 => text.insert_str(at, BITS[chance.next(BITS.len())]),
            1 => text.replace_range(at..near, ""),
            2 => text.replace_range(at..near, BITS[chance.next(BITS.len())]),
            // A line goes, comes twice, or moves.
            3 | 4 => {
                let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
                let line = lines.remove(chance.next(lines.len()));
                if chance.next(2) == 0 {
                    lines.insert(chance.next(lines.len() + 1), line);
                }
                text = lines.concat();
            }
            _ => {
                let piece: String = text[at.min(to)..at.max(to)].chars().take(40).collect();
                text.insert_str(at, &piece);
            }
        }
        if text.is_empty() {
            text.push('\n');
        }
    }
    text
}

/// All that matters of an outcome.
fn outcome(loaded: Result<Loaded, Report>) -> (String, String) {
    match loaded {
        Ok(loaded) => {
            let mut routes: Vec<_> = loaded.config.routes.iter().collect();
            routes.sort_by_key(|(name, _)| (*name).clone());
            let config = &loaded.config;
            let mut tcp_routes: Vec<_> = config.tcp_routes.iter().collect();
            tcp_routes.sort_by_key(|(name, _)| (*name).clone());
            (
                format!(
                    "{:?} {:?} {routes:?} {tcp_routes:?} {:?} {:?}",
                    config.listeners, config.services, config.stores, config.process
                ),
                loaded.warnings.render(false),
            )
        }
        Err(report) => ("error".into(), report.render(false)),
    }
}

#[test]
fn a_reload_gives_what_a_first_load_gives() {
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let environment = |_: &str| Some("v".to_owned());
    let mut kept = yaml(&full()).environment(environment);
    kept.load().unwrap();
    let mut text = full();
    let mut valid_text = full();
    let mut valid = 0;
    for round in 0..1200 {
        // Mostly from what was there, so that reloads follow reloads.
        let base = if chance.next(3) == 0 { full() } else { text };
        let base = if base.len() > 8000 { full() } else { base };
        text = damage(&base, &mut chance);
        kept.set_text(text.clone());
        let by_pieces = outcome(kept.load());
        let anew = outcome(yaml(&text).environment(environment).load());
        assert_eq!(by_pieces, anew, "round {round}:\n{text}");
        // A comment behind a document marker forbids the pieces and changes nothing else.
        let whole = yaml(&format!("---\n{text}")).environment(environment).load();
        let anew_is_error = anew.0 == "error";
        let explicit_start =
            text.contains("---") || text.starts_with(['%', '\u{feff}']) || text.contains("\n%");
        if !explicit_start {
            assert_eq!(whole.is_err(), anew_is_error, "round {round}:\n{text}");
        }
        if let Ok(whole) = whole
            && !explicit_start
        {
            assert_eq!(outcome(Ok(whole)).0, anew.0, "round {round}:\n{text}");
            valid += 1;
        }
        match anew_is_error {
            true if chance.next(4) > 0 => text.clone_from(&valid_text),
            true => {}
            false => valid_text.clone_from(&text),
        }
    }
    assert!(valid > 50, "the damage leaves too little valid: {valid}");
}

#[test]
fn damaged_json_and_toml_never_panic() {
    let json = r#"{"listeners": {"web": {"address": "127.0.0.1:0"}}, "services": {"s": {"endpoints": ["h:1"]}},
        "routes": {"r": {"match": {"path": ["/a/{x}", {"regex": "x"}], "host": "é.com"}, "service": "s"}}, "admin": false}"#;
    let toml = "admin = false\n[listeners.web]\naddress = \"127.0.0.1:0\"\n[services.s]\nendpoints = [\"h:1\"]\n[routes.r]\nmatch.path = \"/a/{x}\"\nservice = \"s\"\n";
    let mut chance = Chance(0xD1B5_4A32_D192_ED03);
    for (text, format) in [(json, Format::Json), (toml, Format::Toml)] {
        let mut loader = Loader::from_text("x", text, format).environment(|_| None);
        for _ in 0..600 {
            let text = damage(text, &mut chance);
            loader.set_text(text.clone());
            let kept = outcome(loader.load());
            let anew = outcome(Loader::from_text("x", text, format).environment(|_| None).load());
            assert_eq!(kept, anew);
        }
    }
}
