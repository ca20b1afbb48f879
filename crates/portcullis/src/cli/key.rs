//! `portcullis key`

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use portcullis_config::model::{Config, KeyHash};
use portcullis_config::quantity;
use portcullis_policies::MOST_GROUPS;
use portcullis_policies::consumers::key::{self, KeyHasher};
use portcullis_policies::consumers::{Database, KeyRow, NewConsumer};

use super::{ConfigArg, colour, print};

/// Most keys that are listed.
const MOST_LISTED: u32 = 100_000;

/// Options of `key`.
#[derive(Debug, clap::Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key for a consumer, and show it this once
    #[command(after_help = "The key goes to standard output, all else to standard error. With \
        `credentials.store` the key is written there, and a running gateway takes it within a \
        second; without, what is printed goes into the configuration.\n\nExamples:\n  \
        portcullis key create shop --expires 90d\n  \
        portcullis key create shop --plan gold --group partners")]
    Create(Create),
    /// List the keys of a consumer, or all: their visible part, never the key
    #[command(after_help = "Example:\n  portcullis key list shop")]
    List(List),
    /// Revoke a key of the store
    #[command(after_help = "A running gateway refuses it within a second.\n\nExample:\n  \
        portcullis key revoke pk_2Kb9xYhT")]
    Revoke(Revoke),
    /// Print a new secret for `credentials.secret`
    #[command(after_help = "Example:\n  portcullis key secret > key-secret")]
    Secret,
}

/// Options of `key create`.
#[derive(Debug, clap::Args)]
struct Create {
    /// The consumer
    consumer: String,
    /// When the key ends: after so long, such as `90d`, or at a time, such as `2030-01-31`
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// The consumer's plan, for a consumer of the store
    #[arg(long)]
    plan: Option<String>,
    /// A group of the consumer, for a consumer of the store; may be there several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Options of `key list`.
#[derive(Debug, clap::Args)]
struct List {
    /// The consumer; none is all
    consumer: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

/// Options of `key revoke`.
#[derive(Debug, clap::Args)]
struct Revoke {
    /// The key's visible part, with or without `pk_`
    prefix: String,
    #[command(flatten)]
    config: ConfigArg,
}

impl Key {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Create(create) => create.execute(),
            Command::List(list) => list.execute(),
            Command::Revoke(revoke) => revoke.execute(),
            Command::Secret => print(&format!("{}\n", key::draw_secret()?)),
        }
    }
}

impl Create {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = load(&self.config)? else { return Ok(ExitCode::FAILURE) };
        let credentials = &config.process.credentials;
        let Some(secret) = &credentials.secret else {
            bail!("the configuration has no `credentials.secret`, which keys are hashed with");
        };
        let now = now();
        let expires = self.expires.as_deref().map(|text| expiry(text, now)).transpose()?;
        let (prefix, hash, key) = draw(&KeyHasher::new(secret.reveal().as_bytes()))?;
        let written = config.consumers.contains_key(self.consumer.as_str());
        let mut err = io::stderr().lock();
        match &credentials.store {
            Some(path) => {
                let consumer = self.new_consumer(&config)?;
                let mut store = Database::open(path)?;
                store.add_key(&consumer, &prefix, &hash, now, expires)?;
                writeln!(
                    err,
                    "pk_{prefix} of {} is in the store. The key, shown once:",
                    self.consumer
                )?;
            }
            None => {
                if self.plan.is_some() || !self.groups.is_empty() {
                    bail!(
                        "plans and groups of consumers stand in the configuration: there is no store"
                    );
                }
                let hash = hex(&hash);
                let ends = expires.and_then(quantity::show_time);
                let ends = ends.map_or(String::new(), |at| format!(", expires: \"{at}\""));
                writeln!(err, "Put this into the configuration:\n")?;
                writeln!(err, "consumers:\n  {}:\n    keys:", self.consumer)?;
                writeln!(err, "      - {{ prefix: \"{prefix}\", hash: \"{hash}\"{ends} }}\n")?;
                if written {
                    writeln!(err, "(the consumer is there: add to its `keys`)")?;
                }
                writeln!(err, "The key, shown once:")?;
            }
        }
        drop(err);
        print(&format!("{key}\n"))
    }

    fn new_consumer(&self, config: &Config) -> anyhow::Result<NewConsumer> {
        let name = &self.consumer;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@".contains(&byte);
        if name.is_empty() || name.len() > 128 || !name.bytes().all(legal) {
            bail!(
                "`{name}` is no name: at most 128 letters, digits, `-`, `_`, `.`, `/`, `:` and `@`"
            );
        }
        if let Some(plan) =
            self.plan.as_ref().filter(|plan| !config.plans.contains_key(plan.as_str()))
        {
            bail!("there is no plan `{plan}`");
        }
        if let Some(group) = self.groups.iter().find(|g| !config.groups.contains_key(g.as_str())) {
            bail!("there is no group `{group}`");
        }
        if self.groups.len() > MOST_GROUPS {
            bail!("a consumer has at most {MOST_GROUPS} groups");
        }
        Ok(NewConsumer { name: name.clone(), plan: self.plan.clone(), groups: self.groups.clone() })
    }
}

/// A new key whose checks were passed, its visible part and what is kept of it.
fn draw(hasher: &KeyHasher) -> anyhow::Result<(String, [u8; 32], String)> {
    let key = key::draw_key()?;
    let prefix = key::prefix(key.as_bytes()).context("the key is not spelt right")?;
    let prefix = prefix.iter().map(|&byte| char::from(byte)).collect();
    Ok((prefix, hasher.hash(key.as_bytes()), key))
}

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = load(&self.config)? else { return Ok(ExitCode::FAILURE) };
        let wanted = self.consumer.as_deref();
        let mut written: Vec<_> = config.consumers.values().collect();
        written.sort_by(|one, other| one.name.cmp(&other.name));
        let mut rows = Vec::new();
        for consumer in
            written.into_iter().filter(|one| wanted.is_none_or(|name| *one.name == *name))
        {
            rows.extend(consumer.keys.iter().map(|key| row(&consumer.name, key)));
        }
        if let Some(path) = config.process.credentials.store.as_ref().filter(|path| path.exists()) {
            rows.extend(Database::open(path)?.keys(wanted, MOST_LISTED)?);
        }
        let now = now();
        let mut text = format!(
            "{:11}  {:24}  {:20}  {:20}  {:20}  STATE\n",
            "KEY", "CONSUMER", "CREATED", "EXPIRES", "LAST USED"
        );
        rows.iter().for_each(|row| text.push_str(&line(row, now)));
        print(&text)
    }
}

/// A key of the configuration, of which less is known.
fn row(consumer: &str, key: &KeyHash) -> KeyRow {
    KeyRow {
        prefix: key.prefix.iter().map(|&byte| char::from(byte)).collect(),
        consumer: consumer.to_owned(),
        created: 0,
        expires: key.expires,
        revoked: None,
        used: None,
    }
}

fn line(row: &KeyRow, now: u64) -> String {
    let time = |at: Option<u64>| at.and_then(quantity::show_time).unwrap_or_else(|| "-".to_owned());
    let state = match (row.revoked, row.expires) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "live",
    };
    let created = time(Some(row.created).filter(|&at| at > 0));
    let (expires, used) = (time(row.expires), time(row.used));
    let (prefix, consumer) = (&row.prefix, &row.consumer);
    format!("pk_{prefix}  {consumer:24}  {created:20}  {expires:20}  {used:20}  {state}\n")
}

impl Revoke {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = load(&self.config)? else { return Ok(ExitCode::FAILURE) };
        let prefix = self.prefix.strip_prefix("pk_").unwrap_or(&self.prefix);
        // A whole key will do as well.
        let prefix = prefix.split('_').next().unwrap_or(prefix);
        let Some(path) = &config.process.credentials.store else {
            bail!("there is no store: take the key out of the configuration");
        };
        let mut keys = config.consumers.values().flat_map(|consumer| &consumer.keys);
        if keys.any(|key| key.prefix == *prefix.as_bytes()) {
            bail!("pk_{prefix} stands in the configuration: take it out there");
        }
        Database::open(path)?.revoke(prefix, now())?;
        writeln!(io::stderr(), "pk_{prefix} is revoked")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The configuration; without one, all that is wrong has been said.
fn load(arg: &ConfigArg) -> anyhow::Result<Option<Arc<Config>>> {
    match super::loader(&arg.config).0.load() {
        Ok(loaded) => Ok(Some(loaded.config)),
        Err(report) => {
            io::stderr().write_all(report.render(colour()).as_bytes())?;
            Ok(None)
        }
    }
}

fn expiry(text: &str, now: u64) -> anyhow::Result<u64> {
    if let Some(at) = quantity::time(text) {
        if at <= now {
            bail!("`{text}` is over");
        }
        return Ok(at);
    }
    let lasts = quantity::duration(text).unwrap_or(Duration::ZERO);
    if lasts.is_zero() {
        bail!(
            "`{text}` is no end for a key: expected one such as `90d`, `2030-01-31` or `2030-01-31T12:00:00Z`"
        );
    }
    Ok(now + lasts.as_secs().max(1))
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
