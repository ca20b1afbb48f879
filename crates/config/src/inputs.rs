//! What a configuration reads besides its own text: environment variables, files and
//! secrets of Vault. Everything read is noted, so that an entry is looked at again only when something it read has changed.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, DefaultHasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::node::reference::Lookup;

/// The largest file that may be referred to.
const LARGEST: u64 = 64 << 20;

/// How environment variables are looked up.
pub(crate) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How references to secrets are looked up: the value, or why there is none.
pub(crate) type Secrets = Arc<dyn Fn(&str) -> Result<String, String> + Send + Sync>;

/// Something that an entry read, and what it found, as a hash: secrets are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Input {
    pub(crate) source: Source,
    seen: u64,
}

/// Where something was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Env(Box<str>),
    File(PathBuf),
    Vault(Box<str>),
}

type Content = Result<Arc<[u8]>, String>;

/// Reads environment variables and files, each at most once in a load.
pub(crate) struct Inputs {
    folder: PathBuf,
    environment: Environment,
    secrets: Option<Secrets>,
    hasher: RandomState,
    read: HashMap<PathBuf, Content>,
    used: Vec<Input>,
}

impl Inputs {
    /// Where relative paths start.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Relative paths start at `folder`.
    pub(crate) fn new(folder: PathBuf, environment: Environment) -> Self {
        Inputs {
            folder,
            environment,
            secrets: None,
            hasher: RandomState::new(),
            read: HashMap::new(),
            used: Vec::new(),
        }
    }

    pub(crate) fn set_environment(&mut self, environment: Environment) {
        self.environment = environment;
    }

    pub(crate) fn set_secrets(&mut self, secrets: Secrets) {
        self.secrets = Some(secrets);
    }

    /// Forgets what the last load read.
    pub(crate) fn begin_load(&mut self) {
        self.read.clear();
        self.used.clear();
    }

    /// What was read since the last call.
    pub(crate) fn take_used(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.used)
    }

    /// A hasher for the content of an entry, with a key of its own for each loader.
    pub(crate) fn content_hasher(&self) -> DefaultHasher {
        self.hasher.build_hasher()
    }

    /// Whether reading it again gives what it gave then.
    pub(crate) fn is_unchanged(&mut self, input: &Input) -> bool {
        let now = match &input.source {
            Source::Env(name) => self.hasher.hash_one((self.environment)(name)),
            Source::Vault(reference) => self.hasher.hash_one(self.secret(reference)),
            Source::File(path) => {
                let content = self.content(&path.clone());
                self.hasher.hash_one(content)
            }
        };
        now == input.seen
    }

    /// The path that a written one means.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        self.folder.join(written)
    }

    /// The content of a file, or why it cannot be had.
    pub(crate) fn bytes(&mut self, path: &Path) -> Content {
        let content = self.content(path);
        let seen = self.hasher.hash_one(&content);
        self.used.push(Input { source: Source::File(path.to_owned()), seen });
        content
    }

    fn secret(&self, reference: &str) -> Result<String, String> {
        match &self.secrets {
            Some(secrets) => secrets(reference),
            None => Err("there is nobody to ask for it".to_owned()),
        }
    }

    fn content(&mut self, path: &Path) -> Content {
        if let Some(content) = self.read.get(path) {
            return content.clone();
        }
        let content = read_bounded(path, LARGEST).map(Arc::from);
        self.read.insert(path.to_owned(), content.clone());
        content
    }
}

impl Lookup for Inputs {
    fn env(&mut self, name: &str) -> Option<String> {
        let value = (self.environment)(name);
        let seen = self.hasher.hash_one(&value);
        self.used.push(Input { source: Source::Env(name.into()), seen });
        value
    }

    fn file(&mut self, path: &str) -> Result<String, String> {
        let bytes = self.bytes(&self.path(path))?;
        std::str::from_utf8(&bytes)
            .map(str::to_owned)
            .map_err(|_| "it is not UTF-8 text".to_owned())
    }

    fn vault(&mut self, reference: &str) -> Result<String, String> {
        let value = self.secret(reference);
        let seen = self.hasher.hash_one(&value);
        self.used.push(Input { source: Source::Vault(reference.into()), seen });
        value
    }
}

/// Reads a regular file of at most `largest` bytes.
pub(crate) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let read = || {
        // Looked at before it is opened: opening a pipe would wait for its other end.
        let about = std::fs::metadata(path)?;
        if !about.is_file() {
            return Ok(Err("it is no regular file".to_owned()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len().min(largest)).unwrap_or(0));
        File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > largest {
            return Ok(Err(format!("it is larger than {} MiB", largest >> 20)));
        }
        Ok(Ok(bytes))
    };
    read().unwrap_or_else(|error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Err("there is no such file".to_owned()),
        std::io::ErrorKind::PermissionDenied => Err("permission denied".to_owned()),
        _ => Err(error.to_string()),
    })
}
