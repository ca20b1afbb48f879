//! Loading: files -> entries -> checked values -> [`Config`], at a cost in proportion to what
//! changed. A loader remembers the texts and what every entry came to; the next load looks only at
//! the entries whose text, or whose variables and files, are different.

mod chunk;
mod entries;
mod file;
mod reports;
mod unit;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inputs::{Environment, Inputs, Source, read_bounded};
use crate::model::{Config, Name};
use crate::report::{Fault, Place, Report};

use entries::Entries;
use file::FileState;
use unit::{Collection, UnitId, Value};

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

/// A configuration that was loaded without error.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration. What did not change since the last load is the same allocation.
    pub config: Arc<Config>,
    /// What is different from the last configuration that was loaded without error.
    pub changes: Changes,
    /// What can be used but is surely not as meant.
    pub warnings: Report,
    /// Every file that was read, certificates and `file:` references included, and the folder if
    /// the configuration is one: a change in any of them may change the configuration.
    pub watch: Vec<PathBuf>,
}

/// What is different from one configuration to the next, by stable name, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Listeners.
    pub listeners: Delta,
    /// Services.
    pub services: Delta,
    /// Routes.
    pub routes: Delta,
    /// Whether the settings of the process are different.
    pub process: bool,
}

impl Changes {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        !self.process
            && [&self.listeners, &self.services, &self.routes].into_iter().all(Delta::is_empty)
    }
}

/// What is different in one collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// New names.
    pub added: Vec<Name>,
    /// Names whose value is different.
    pub changed: Vec<Name>,
    /// Names that are gone.
    pub removed: Vec<Name>,
}

impl Delta {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    fn note<T>(&mut self, name: &Name, old: Option<&Arc<T>>, new: Option<&Arc<T>>) {
        let list = match (old, new) {
            (None, Some(_)) => &mut self.added,
            (Some(_), None) => &mut self.removed,
            (Some(old), Some(new)) if !Arc::ptr_eq(old, new) => &mut self.changed,
            _ => return,
        };
        list.push(name.clone());
    }

    fn sort(&mut self) {
        for list in [&mut self.added, &mut self.changed, &mut self.removed] {
            list.sort();
        }
    }
}

/// Where the configuration is.
enum Origin {
    Path(PathBuf),
    Text { name: PathBuf, text: String, format: Format },
}

/// A text that was read.
struct Text {
    path: PathBuf,
    format: Format,
    text: String,
}

/// Names that may be different from the last good configuration, with what they were in it: a hash
/// of their content, and their value.
type Touched = HashMap<(Collection, Name), Option<(u64, Value)>>;

/// Loads a configuration again and again, each time at a cost in proportion to what changed.
pub struct Loader {
    origin: Origin,
    inputs: Inputs,
    files: BTreeMap<PathBuf, FileState>,
    next_file: u32,
    entries: Entries,
    touched: Touched,
    good: Arc<Config>,
    /// What [`Loader::reject`] goes back to.
    before: Option<(Arc<Config>, Touched)>,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader of a file, or of a folder: every `*.yaml`, `*.yml`, `*.json` and `*.toml` in it,
    /// merged in the order of their names.
    pub fn new(path: &Path) -> Self {
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let folder = folder.unwrap_or(Path::new("")).to_owned();
        Loader::with(Origin::Path(path.to_owned()), folder)
    }

    /// A loader of a text; relative paths start at the working directory. The name is for messages.
    pub fn from_text(name: &str, text: impl Into<String>, format: Format) -> Self {
        let origin = Origin::Text { name: name.into(), text: text.into(), format };
        Loader::with(origin, PathBuf::new())
    }

    fn with(origin: Origin, folder: PathBuf) -> Self {
        Loader {
            origin,
            inputs: Inputs::new(folder, Arc::new(|name| std::env::var(name).ok())),
            files: BTreeMap::new(),
            next_file: 0,
            entries: Entries::default(),
            touched: Touched::new(),
            good: Arc::default(),
            before: None,
        }
    }

    /// Takes variables for `${NAME}` from a function instead of the environment of the process.
    pub fn environment(
        mut self,
        lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let lookup: Environment = Arc::new(lookup);
        self.inputs.set_environment(lookup);
        self
    }

    /// Replaces the text of a loader made by [`Loader::from_text`]; the next load reads it.
    pub fn set_text(&mut self, new: impl Into<String>) {
        if let Origin::Text { text, .. } = &mut self.origin {
            *text = new.into();
        }
    }

    /// Reads the configuration and says what changed since the last load without error.
    ///
    /// # Errors
    /// Everything that is wrong, all at once, warnings included. The last good configuration stays
    /// what the next load is compared with.
    pub fn load(&mut self) -> Result<Loaded, Report> {
        let texts = self.read()?;
        self.inputs.begin_load();
        self.update(texts);
        let report = reports::report(&self.files, &self.entries);
        if report.errors() > 0 {
            return Err(report);
        }
        let changes = self.build();
        Ok(Loaded { config: self.good.clone(), changes, warnings: report, watch: self.watch() })
    }

    /// Takes back the last successful load, because what it gave could not be put to use: the next
    /// load is compared with the configuration before it.
    pub fn reject(&mut self) {
        if let Some((config, touched)) = self.before.take() {
            self.good = config;
            self.touched.extend(touched);
        }
    }

    /// Where something was written, such as `["listeners", "web", "tls"]` (items of lists by their
    /// number); the nearest outer place if it is not written itself.
    pub fn locate(&self, path: &[&str]) -> Option<Place> {
        reports::locate(&self.files, &self.entries, path)
    }

    /// The texts of all files. One that cannot be read fails the load.
    fn read(&self) -> Result<Vec<Text>, Report> {
        let path = match &self.origin {
            Origin::Text { name, text, format } => {
                return Ok(vec![Text { path: name.clone(), format: *format, text: text.clone() }]);
            }
            Origin::Path(path) => path,
        };
        let refused = |message| Err(Report::new(vec![Fault::error(message)]));
        if !path.is_dir() {
            return match Format::of(path) {
                Some(format) => read_text(path, format).map(|text| vec![text]).map_err(|f| Report::new(vec![f])),
                None => refused(format!(
                    "{}: expected a `.yaml`, `.yml`, `.json` or `.toml` file, or a folder of them",
                    path.display()
                )),
            };
        }
        let files = match list(path) {
            Ok(files) => files,
            Err(error) => return refused(format!("cannot read the folder {}: {error}", path.display())),
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

    /// Brings files and entries to these texts.
    fn update(&mut self, texts: Vec<Text>) {
        let stale = self.entries.stale(&mut self.inputs);
        let present: BTreeSet<&PathBuf> = texts.iter().map(|text| &text.path).collect();
        let gone: Vec<PathBuf> =
            self.files.keys().filter(|path| !present.contains(path)).cloned().collect();
        let mut removed: Vec<UnitId> = Vec::new();
        for path in gone {
            if let Some(file) = self.files.remove(&path) {
                removed.extend(file.units());
            }
        }
        let mut added = Vec::new();
        for Text { path, format, text } in texts {
            let next = &mut self.next_file;
            let file = self.files.entry(path).or_insert_with_key(|path| {
                *next += 1;
                FileState::new(*next, path, format)
            });
            file.refresh(text, &stale, &mut self.entries, &mut self.inputs, &mut removed, &mut added);
        }
        self.entries.replace(&removed, &added, &mut self.touched);
    }

    /// Makes the new configuration out of the last good one and what was touched since.
    fn build(&mut self) -> Changes {
        let mut config = Config::clone(&self.good);
        let mut changes = Changes::default();
        for (collection, name) in self.touched.keys() {
            let value = self.entries.value(*collection, name);
            match (collection, value) {
                (Collection::Listeners, value) => {
                    let new = value.and_then(Value::listener);
                    changes.listeners.note(name, config.listeners.get(name), new);
                    match new {
                        Some(new) => config.listeners.insert(name.clone(), new.clone()),
                        None => config.listeners.remove(name),
                    };
                }
                (Collection::Services, value) => {
                    let new = value.and_then(Value::service);
                    changes.services.note(name, config.services.get(name), new);
                    match new {
                        Some(new) => config.services.insert(name.clone(), new.clone()),
                        None => config.services.remove(name),
                    };
                }
                (Collection::Routes, value) => {
                    let new = value.and_then(Value::route);
                    changes.routes.note(name, config.routes.get(name), new);
                    match new {
                        Some(new) => config.routes.insert(name.clone(), new.clone()),
                        None => config.routes.remove(name),
                    };
                }
                (Collection::Settings, _) => {}
            }
        }
        config.process = self.entries.process();
        changes.process = config.process != self.good.process;
        for delta in [&mut changes.listeners, &mut changes.services, &mut changes.routes] {
            delta.sort();
        }
        let old = std::mem::replace(&mut self.good, Arc::new(config));
        self.before = Some((old, std::mem::take(&mut self.touched)));
        changes
    }

    fn watch(&self) -> Vec<PathBuf> {
        let mut watch = BTreeSet::new();
        if let Origin::Path(path) = &self.origin {
            watch.insert(path.clone());
            watch.extend(self.files.keys().cloned());
        }
        for input in self.entries.inputs() {
            if let Source::File(path) = &input.source {
                watch.insert(path.clone());
            }
        }
        watch.into_iter().collect()
    }
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
    let bytes = read_bounded(path, LARGEST)
        .map_err(|why| Fault::error(format!("cannot read the configuration file {shown}: {why}")))?;
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

#[cfg(test)]
mod tests;
