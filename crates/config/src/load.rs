//! Loading: files -> entries -> checked values -> [`Config`], at a cost in proportion to what
//! changed. A loader remembers the texts and what every entry came to; the next load looks only at
//! the entries whose text, or whose variables and files, are different.

mod changes;
mod chunk;
mod claims;
mod entries;
mod file;
mod named;
mod read;
mod reports;
mod unit;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::inputs::{Environment, Inputs, Source};
use crate::model::{Config, Name};
use crate::report::{Place, Report};

pub use changes::{Changes, Delta};
use entries::Entries;
use file::FileState;
pub use read::Format;
use read::Text;
#[cfg(test)]
pub(crate) use unit::KEYS;
use unit::{Collection, UnitId, Value};

/// Above so many changed names a copy is cheaper than bringing an older configuration up to date.
const MOST_REDONE: usize = 4096;

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

/// Where the configuration is.
enum Origin {
    Path(PathBuf),
    Text { name: PathBuf, text: String, format: Format },
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
    /// The good one before, and what was touched from it to `good`: what [`Loader::reject`] goes back
    /// to, and, when nobody else holds it any more, what the next is made of.
    before: Option<(Arc<Config>, Touched)>,
    may_reject: bool,
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
            may_reject: false,
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

    /// Takes the values of `vault:` references from a function, which gives the value or says why
    /// there is none. Without one, such references are faults.
    pub fn secrets(
        mut self,
        lookup: impl Fn(&str) -> Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        self.inputs.set_secrets(Arc::new(lookup));
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
        let texts = read::texts(&self.origin)?;
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
        if let Some((config, touched)) = self.before.take_if(|_| self.may_reject) {
            self.good = config;
            self.touched.extend(touched);
        }
    }

    /// The folder at which relative paths start.
    pub fn folder(&self) -> &Path {
        self.inputs.folder()
    }

    /// Where something was written, such as `["listeners", "web", "tls"]` (items of lists by their
    /// number); the nearest outer place if it is not written itself.
    pub fn locate(&self, path: &[&str]) -> Option<Place> {
        reports::locate(&self.files, &self.entries, path)
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
            file.refresh(
                text,
                &stale,
                &mut self.entries,
                &mut self.inputs,
                &mut removed,
                &mut added,
            );
        }
        self.entries.replace(&removed, &added, &mut self.touched);
    }

    /// Makes the new configuration out of the last good one and what was touched since.
    fn build(&mut self) -> Changes {
        let mut changes = Changes::default();
        let process = self.entries.process();
        self.may_reject = !self.touched.is_empty();
        if self.touched.is_empty() && process == self.good.process && self.before.is_some() {
            return changes;
        }
        let mut config = self.copy_of_good();
        for (collection, name) in self.touched.keys() {
            let value = self.entries.value(*collection, name);
            match collection {
                Collection::Listeners => {
                    let new = value.and_then(Value::listener);
                    changes.listeners.note(name, config.listeners.get(name), new);
                    put_ordered(&mut config.listeners, name, new);
                }
                Collection::Services => {
                    let new = value.and_then(Value::service);
                    changes.services.note(name, config.services.get(name), new);
                    put_ordered(&mut config.services, name, new);
                }
                Collection::Routes => {
                    let new = value.and_then(Value::route);
                    changes.routes.note(name, config.routes.get(name), new);
                    put(&mut config.routes, name, new);
                }
                Collection::TcpRoutes => {
                    let new = value.and_then(Value::tcp_route);
                    changes.tcp_routes.note(name, config.tcp_routes.get(name), new);
                    put(&mut config.tcp_routes, name, new);
                }
                Collection::Stores => {
                    let new = value.and_then(Value::store);
                    changes.stores.note(name, config.stores.get(name), new);
                    put_ordered(&mut config.stores, name, new);
                }
                Collection::Issuers => {
                    let new = value.and_then(Value::issuer);
                    changes.issuers.note(name, config.issuers.get(name), new);
                    put_ordered(&mut config.issuers, name, new);
                }
                Collection::Consumers => {
                    let new = value.and_then(Value::consumer);
                    changes.consumers.note(name, config.consumers.get(name), new);
                    put(&mut config.consumers, name, new);
                }
                Collection::Groups => {
                    let new = value.and_then(Value::group);
                    changes.groups.note(name, config.groups.get(name), new);
                    put_ordered(&mut config.groups, name, new);
                }
                Collection::Plans => {
                    let new = value.and_then(Value::plan);
                    changes.plans.note(name, config.plans.get(name), new);
                    put_ordered(&mut config.plans, name, new);
                }
                Collection::Settings => {}
            }
        }
        changes.process = process != self.good.process;
        config.process = process;
        changes.sort();
        let old = std::mem::replace(&mut self.good, Arc::new(config));
        self.before = Some((old, std::mem::take(&mut self.touched)));
        changes
    }

    /// A copy of the last good configuration. Copying 50,000 routes takes milliseconds, so the one
    /// before it is brought up to date instead when nobody holds it any more.
    fn copy_of_good(&mut self) -> Config {
        let small = |(_, touched): &(_, Touched)| touched.len() <= MOST_REDONE;
        let before = self.before.take().filter(small);
        let reusable = before.map(|(before, touched)| (Arc::try_unwrap(before), touched));
        let Some((Ok(mut config), touched)) = reusable else {
            return Config::clone(&self.good);
        };
        for (collection, name) in touched.keys() {
            match collection {
                Collection::Listeners => {
                    put_ordered(&mut config.listeners, name, self.good.listeners.get(name));
                }
                Collection::Services => {
                    put_ordered(&mut config.services, name, self.good.services.get(name));
                }
                Collection::Routes => put(&mut config.routes, name, self.good.routes.get(name)),
                Collection::TcpRoutes => {
                    put(&mut config.tcp_routes, name, self.good.tcp_routes.get(name));
                }
                Collection::Stores => {
                    put_ordered(&mut config.stores, name, self.good.stores.get(name));
                }
                Collection::Issuers => {
                    put_ordered(&mut config.issuers, name, self.good.issuers.get(name));
                }
                Collection::Consumers => {
                    put(&mut config.consumers, name, self.good.consumers.get(name));
                }
                Collection::Groups => {
                    put_ordered(&mut config.groups, name, self.good.groups.get(name));
                }
                Collection::Plans => {
                    put_ordered(&mut config.plans, name, self.good.plans.get(name));
                }
                Collection::Settings => {}
            }
        }
        config.process = self.good.process.clone();
        config
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

fn put<T>(map: &mut HashMap<Name, Arc<T>>, name: &Name, value: Option<&Arc<T>>) {
    match value {
        Some(value) => map.insert(name.clone(), value.clone()),
        None => map.remove(name),
    };
}

fn put_ordered<T>(map: &mut BTreeMap<Name, Arc<T>>, name: &Name, value: Option<&Arc<T>>) {
    match value {
        Some(value) => map.insert(name.clone(), value.clone()),
        None => map.remove(name),
    };
}

#[cfg(test)]
mod tests;
