//! From findings inside units and between them to a report with places.

mod access;
mod backups;
mod identity;
mod logins;
mod tcp;
mod upstream_tokens;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::Format;
use super::entries::Entries;
use super::file::FileState;
use super::unit::{Collection, SETTINGS, UnitId, Value};
use crate::model::{Action, Bind, Name, Policy};
use crate::node::{Finding, Kind, Node, Span, json, toml, yaml};
use crate::overlap::{Conflict, Shadow};
use crate::report::{Fault, Lines, Place, Report, Severity, nearest};

/// The most faults of one kind that are shown.
const MOST: usize = 1000;

type Files = BTreeMap<PathBuf, FileState>;

/// Everything that is wrong now.
pub(crate) fn report(files: &Files, entries: &Entries) -> Report {
    let places = Places::new(files);
    let mut faults = Vec::new();
    for (file, spots) in places.files.values() {
        faults.extend(file.findings.iter().map(|found| {
            let place = |span: Span, label: &str| spots.place(file, 0, span, label);
            fault(found, |span, label| Some(place(span, label)))
        }));
    }
    for (id, unit) in entries.faulty().take(MOST) {
        faults.extend(
            unit.findings
                .iter()
                .map(|found| fault(found, |span, label| places.place(entries, id, span, label))),
        );
    }
    let more = entries.faulty().skip(MOST);
    let (count, errors) = more.fold((0_usize, false), |(count, errors), (_, unit)| {
        (count + 1, errors | unit.has_error())
    });
    if count > 0 {
        let mut fault = Fault::error(format!("{count} more entries have faults"));
        if !errors {
            fault.severity = Severity::Warning;
        }
        faults.push(fault);
    }
    doubles(entries, &places, &mut faults);
    binds(entries, &places, &mut faults);
    // What is absent may stand in what could not be read.
    if !files.values().any(|file| file.broken || !file.findings.is_empty()) {
        absences(files, entries, &places, &mut faults);
        access::report(entries, &places, &mut faults);
    }
    overlaps(entries, &places, &mut faults);
    tcp::report(entries, &places, &mut faults);
    backups::report(entries, &places, &mut faults);
    logins::report(entries, &places, &mut faults);
    upstream_tokens::report(entries, &places, &mut faults);
    Report::new(faults)
}

/// Where a path of keys was written.
pub(crate) fn locate(files: &Files, entries: &Entries, path: &[&str]) -> Option<Place> {
    let (top, rest) = path.split_first()?;
    let (id, rest) = match Collection::of(top) {
        Some(collection) => {
            let (name, rest) = rest.split_first()?;
            (entries.find(collection, name)?, rest)
        }
        None => (entries.find(Collection::Settings, top)?, rest),
    };
    let places = Places::new(files);
    let span = places.within(entries, id, rest).map_or(entries.unit(id)?.key, |found| found.0);
    places.place(entries, id, span, "")
}

fn fault(found: &Finding, place: impl Fn(Span, &str) -> Option<Place>) -> Fault {
    let mut places: Vec<Place> = place(found.at, &found.label).into_iter().collect();
    if let Some((at, label)) = &found.also {
        places.extend(place(*at, label));
    }
    Fault {
        severity: found.severity,
        message: found.message.clone(),
        places,
        help: found.help.clone(),
    }
}

fn doubles(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    for (first, more) in entries.doubles().take(MOST) {
        let mut ids: Vec<UnitId> = more.iter().copied().chain([first]).collect();
        ids.sort_by_key(|id| places.order(entries, *id));
        let Some((first, more)) = ids.split_first() else {
            continue;
        };
        for id in more {
            let Some(unit) = entries.unit(*id) else {
                continue;
            };
            let mut fault = Fault::error(format!("the key `{}` is here twice", unit.name));
            fault.places.extend(places.key(entries, *id, "again here"));
            fault.places.extend(places.key(entries, *first, "first here"));
            faults.push(fault);
        }
    }
}

/// Listeners (the admin one too) that want the same address.
fn binds(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut seen: HashMap<Bind, UnitId> = HashMap::new();
    let admin =
        entries.find(Collection::Settings, "admin").filter(|_| entries.process().admin.is_some());
    if let (Some(id), Some(address)) = (admin, entries.process().admin) {
        seen.insert(Bind::Tcp(address), id);
    }
    let mut names: Vec<&str> = entries.names(Collection::Listeners).collect();
    names.sort_unstable();
    for name in names {
        let Some(id) = entries.find(Collection::Listeners, name) else {
            continue;
        };
        let Some(unit) = entries.unit(id).filter(|unit| !unit.has_error()) else {
            continue;
        };
        let Some(listener) = unit.value.as_ref().and_then(Value::listener) else {
            continue;
        };
        // Port 0 is another port each time.
        if matches!(&listener.bind, Bind::Tcp(address) if address.port() == 0) {
            continue;
        }
        let Some(first) = seen.get(&listener.bind) else {
            seen.insert(listener.bind.clone(), id);
            continue;
        };
        let mut fault =
            Fault::error(format!("the listener `{name}` wants an address that is taken"));
        for (id, label) in [(id, "wanted here"), (*first, "taken here")] {
            let span = places.within(entries, id, &["address"]).map(|found| found.0);
            let span = span.or(entries.unit(id).map(|unit| unit.key)).unwrap_or_default();
            fault.places.extend(places.place(entries, id, span, label));
        }
        faults.push(fault);
    }
}

/// What is not there though it must be.
fn absences(files: &Files, entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    if entries.names(Collection::Listeners).next().is_none() {
        let mut fault = Fault::error("there is no listener");
        if let Some((file, spots)) =
            files.values().next().and_then(|file| places.files.get(&file.id))
        {
            fault.places.push(spots.place(file, 0, Span::default(), ""));
        }
        fault.help = Some("add one: `listeners: { web: { address: \"0.0.0.0:8000\" } }`".into());
        faults.push(fault);
    }
    for (collection, name, routes) in entries.missing().take(MOST) {
        let mut routes: Vec<&UnitId> = routes.iter().collect();
        routes.sort_unstable();
        for id in routes.into_iter().take(MOST) {
            faults.extend(missing(collection, name, *id, entries, places));
        }
    }
}

/// A service, listener or store that is named and nobody defines.
fn missing(
    collection: Collection,
    name: &str,
    id: UnitId,
    entries: &Entries,
    places: &Places<'_>,
) -> Option<Fault> {
    let unit = entries.unit(id)?;
    let value = unit.value.as_ref()?;
    let (what, written) = match collection {
        Collection::Listeners if unit.collection == Collection::TcpRoutes => {
            ("listener", places.within(entries, id, &["listener"]))
        }
        Collection::Listeners => {
            let mut listeners = value.route()?.matches.listeners.iter();
            let index = listeners.position(|listener| &**listener == name)?.to_string();
            let one = || places.within(entries, id, &["match", "listener"]);
            let of_list = places.within(entries, id, &["match", "listener", &index]);
            ("listener", of_list.filter(|found| found.1).or_else(one))
        }
        Collection::Services if unit.collection == Collection::Services => {
            ("service", places.within(entries, id, &["backup"]))
        }
        Collection::Stores => {
            let named = |policy: &Policy| policy.sharing().is_some_and(|to| &*to.store == name);
            let policies = value.policies()?;
            match policies.limits.iter().position(named) {
                None => identity::missing(collection, name, id, entries, places)?,
                Some(index) => {
                    let kind = policies.limits[index].kind();
                    let index = policies.limit_places[index].to_string();
                    let path = ["policies", &index, kind, "store"];
                    let path = &path[usize::from(unit.collection == Collection::Settings)..];
                    ("store", places.within(entries, id, path))
                }
            }
        }
        Collection::Consumers | Collection::Groups | Collection::Plans | Collection::Issuers => {
            identity::missing(collection, name, id, entries, places)?
        }
        _ => {
            let services = match value {
                Value::TcpRoute(route) => &route.services,
                value => match &value.route()?.action {
                    Action::Forward { services, .. } => services,
                    Action::Redirect { .. } | Action::Reply(_) => return None,
                },
            };
            let written = match services.iter().position(|part| &*part.service == name) {
                None => places.within(entries, id, &["mirror", "service"]),
                Some(index) => {
                    let index = index.to_string();
                    let of_split = || places.within(entries, id, &["split", &index, "service"]);
                    let one = places.within(entries, id, &["service"]);
                    one.filter(|found| found.1).or_else(of_split)
                }
            };
            ("service", written)
        }
    };
    let (span, _, hidden) = written.unwrap_or((unit.key, false, false));
    if hidden {
        let message = format!("there is no {what} of the name that this reference brings in");
        let mut fault = Fault::error(message);
        fault.places.extend(places.place(entries, id, span, "not defined"));
        return Some(fault);
    }
    let mut fault = Fault::error(format!("there is no {what} `{name}`"));
    fault.places.extend(places.place(entries, id, span, "not defined"));
    fault.help =
        nearest(name, entries.names(collection)).map(|near| format!("did you mean `{near}`?"));
    Some(fault)
}

fn overlaps(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    for ((first, second), on) in conflicts(entries, places).into_iter().take(MOST) {
        let (one, two) = (name(entries, first), name(entries, second));
        let mut fault =
            Fault::error(format!("the routes `{one}` and `{two}` take the same requests: {on}"));
        fault.places.extend(places.key(entries, second, "this route"));
        fault.places.extend(places.key(entries, first, "and this one, at the same priority"));
        fault.help =
            Some("give one of them another `priority`, or tell them apart in `match`".into());
        faults.push(fault);
    }
    let shadows: Vec<Shadow> = entries.overlap.shadows().collect();
    for Shadow { route, by } in shadows.iter().copied().take(MOST) {
        let route_name = name(entries, route);
        let mut fault = Fault::error(format!("the route `{route_name}` never takes a request"));
        fault.severity = Severity::Warning;
        fault.places.extend(places.key(entries, route, "never reached"));
        let label = format!("`{}` takes all of it and comes first", name(entries, by));
        fault.places.extend(places.key(entries, by, &label));
        faults.push(fault);
    }
    if let Some(more) = shadows.len().checked_sub(MOST).filter(|more| *more > 0) {
        let mut fault = Fault::error(format!("{more} more routes never take a request"));
        fault.severity = Severity::Warning;
        faults.push(fault);
    }
}

/// Pairs of routes in conflict, the one written first first; a pair once, however much both take.
fn conflicts(entries: &Entries, places: &Places<'_>) -> BTreeMap<(UnitId, UnitId), String> {
    let mut pairs = BTreeMap::new();
    for Conflict { mut routes, on } in entries.overlap.conflicts() {
        routes.sort_by_key(|id| places.order(entries, *id));
        let Some((first, others)) = routes.split_first() else {
            continue;
        };
        for other in others.iter().take(MOST) {
            let known = pairs.entry((*first, *other)).or_insert_with(|| on.clone());
            if on < *known {
                known.clone_from(&on);
            }
        }
    }
    pairs
}

fn name(entries: &Entries, id: UnitId) -> Name {
    entries.unit(id).map_or_else(|| Name::from(""), |unit| unit.name.clone())
}

/// Finds places; the line tables are made when the first is asked for.
struct Places<'a> {
    files: BTreeMap<u32, (&'a FileState, Spots<'a>)>,
}

/// The lines of a file and where its units begin.
#[derive(Default)]
struct Spots<'a> {
    lines: OnceCell<Lines<'a>>,
    starts: OnceCell<HashMap<UnitId, (u32, u32)>>,
}

impl<'a> Spots<'a> {
    fn place(&self, file: &'a FileState, base: u32, span: Span, label: &str) -> Place {
        let lines = self.lines.get_or_init(|| Lines::new(file.shown.clone(), &file.text));
        lines.place((base + span.start) as usize, (base + span.end) as usize, label.to_owned())
    }

    fn piece(&self, file: &FileState, id: UnitId) -> Option<(u32, u32)> {
        let starts = self.starts.get_or_init(|| {
            let pieces = file.slots.iter();
            pieces
                .filter_map(|slot| Some((slot.unit?, (slot.piece.start, slot.piece.end))))
                .collect()
        });
        starts.get(&id).copied()
    }
}

impl<'a> Places<'a> {
    fn new(files: &'a Files) -> Self {
        Places { files: files.values().map(|file| (file.id, (file, Spots::default()))).collect() }
    }

    fn place(&self, entries: &Entries, id: UnitId, span: Span, label: &str) -> Option<Place> {
        let (file, spots) = self.files.get(&entries.unit(id)?.file)?;
        let (base, _) = spots.piece(file, id)?;
        Some(spots.place(file, base, span, label))
    }

    fn key(&self, entries: &Entries, id: UnitId, label: &str) -> Option<Place> {
        self.place(entries, id, entries.unit(id)?.key, label)
    }

    /// The place of something inside a unit, or else of the unit.
    fn of(&self, entries: &Entries, id: UnitId, path: &[&str], label: &str) -> Option<Place> {
        let span = self.within(entries, id, path).map(|found| found.0);
        self.place(entries, id, span.or(entries.unit(id).map(|unit| unit.key))?, label)
    }

    /// Sorts units as they are written: by file, then by place.
    fn order(&self, entries: &Entries, id: UnitId) -> Option<(Arc<str>, u32)> {
        let unit = entries.unit(id)?;
        let (file, spots) = self.files.get(&unit.file)?;
        let (start, _) = spots.piece(file, id)?;
        Some((file.shown.clone(), start + unit.key.start))
    }

    /// Where something inside a unit is: its place, whether the whole path is there, and whether its
    /// value comes from a reference. Parses the unit again: places are kept for nothing else.
    fn within(&self, entries: &Entries, id: UnitId, path: &[&str]) -> Option<(Span, bool, bool)> {
        let unit = entries.unit(id)?;
        let (file, spots) = self.files.get(&unit.file)?;
        let (start, end) = spots.piece(file, id)?;
        let mut ignored = Vec::new();
        let mut node = if start == end {
            let root = match file.format {
                Format::Yaml => yaml::read(&file.text, &mut ignored)?,
                Format::Json => json::read(&file.text, &mut ignored)?,
                Format::Toml => toml::read(&file.text, &mut ignored)?,
            };
            let top = match unit.collection {
                Collection::Listeners => "listeners",
                Collection::Services => "services",
                Collection::Routes => "routes",
                Collection::TcpRoutes => "tcp_routes",
                Collection::Stores => "stores",
                Collection::Issuers => "issuers",
                Collection::Consumers => "consumers",
                Collection::Groups => "groups",
                Collection::Plans => "plans",
                Collection::Settings => SETTINGS.iter().find(|key| **key == &*unit.name)?,
            };
            let top = child(root, top)?.0;
            if unit.collection == Collection::Settings { top } else { child(top, &unit.name)?.0 }
        } else {
            let root = yaml::read(&file.text[start as usize..end as usize], &mut ignored)?;
            child(root, &unit.name)?.0
        };
        let mut span = unit.key;
        for (depth, key) in path.iter().enumerate() {
            let Some((next, next_span)) = child(node, key) else {
                return Some((span, false, false));
            };
            (node, span) = (next, next_span);
            if depth + 1 == path.len() && !matches!(node.kind, Kind::Map(_) | Kind::List(_)) {
                span = node.span;
            }
        }
        let hidden = matches!(&node.kind, Kind::Text(text) if text.contains("${") || text.starts_with("file:"));
        Some((span, true, hidden))
    }
}

/// A child by key or number, and the place that names it.
fn child(node: Node, key: &str) -> Option<(Node, Span)> {
    match node.kind {
        Kind::Map(map) => {
            let entry = map.entries.into_iter().find(|entry| &*entry.key == key)?;
            Some((entry.value, entry.key_span))
        }
        Kind::List(items) => {
            let item = items.into_iter().nth(key.parse().ok()?)?;
            let span = item.span;
            Some((item, span))
        }
        _ => None,
    }
}
