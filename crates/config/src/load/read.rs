//! Reading the texts of a configuration: one file, the files of a folder, or a text at hand.

use std::path::{Path, PathBuf};

use super::Origin;
use crate::inputs::read_bounded;
use crate::report::{Fault, Report};

/// The largest configuration file.
const LARGEST: u64 = 1 << 30;

/// The language of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// JSON (RFC 8259).
    Json,
    /// TOML 1.1.
    Toml,
}

impl Format {
    /// The format that a file's extension stands for.
    pub fn of(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Format::Yaml),
            "json" => Some(Format::Json),
            "toml" => Some(Format::Toml),
            _ => None,
        }
    }
}

/// A text that was read.
pub(super) struct Text {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) text: String,
}

/// The texts of all files. One that cannot be read fails the load.
pub(super) fn texts(origin: &Origin) -> Result<Vec<Text>, Report> {
    let path = match origin {
        Origin::Text { name, text, format } => {
            return Ok(vec![Text { path: name.clone(), format: *format, text: text.clone() }]);
        }
        Origin::Path(path) => path,
    };
    let refused = |message| Err(Report::new(vec![Fault::error(message)]));
    if !path.is_dir() {
        return match Format::of(path) {
            Some(format) => {
                read_text(path, format).map(|text| vec![text]).map_err(|f| Report::new(vec![f]))
            }
            None => refused(format!(
                "{}: expected a `.yaml`, `.yml`, `.json` or `.toml` file, or a folder of them",
                path.display()
            )),
        };
    }
    let files = match list(path) {
        Ok(files) => files,
        Err(error) => {
            return refused(format!("cannot read the folder {}: {error}", path.display()));
        }
    };
    if files.is_empty() {
        return refused(format!(
            "the folder {} has no `.yaml`, `.yml`, `.json` or `.toml` file",
            path.display()
        ));
    }
    let (mut texts, mut faults) = (Vec::new(), Vec::new());
    for (path, format) in files {
        match read_text(&path, format) {
            Ok(text) => texts.push(text),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(texts) } else { Err(Report::new(faults)) }
}

/// The configuration files of a folder, sorted.
fn list(folder: &Path) -> std::io::Result<Vec<(PathBuf, Format)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Hidden files are editors' and Kubernetes' own.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if let Some(format) = Format::of(&path).filter(|_| !hidden && path.is_file()) {
            files.push((path, format));
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

fn read_text(path: &Path, format: Format) -> Result<Text, Fault> {
    let shown = path.display();
    let bytes = read_bounded(path, LARGEST).map_err(|why| {
        Fault::error(format!("cannot read the configuration file {shown}: {why}"))
    })?;
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            // A byte order mark says nothing in UTF-8.
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(Text { path: path.to_owned(), format, text })
        }
        Err(error) => {
            let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            Err(Fault::error(format!("{shown}:{line}: the file is not UTF-8 text")))
        }
    }
}
