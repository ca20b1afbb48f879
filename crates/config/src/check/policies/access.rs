//! Rules of who may do what.

use std::sync::{Arc, LazyLock};

use jiff::tz::TimeZone;
use portcullis_cel::{Program, Schema};

use super::super::{Scope, address, http};
use super::keys;
use crate::model::{Access, CelRule, Conditions, Name, Rule, Times, Variable};
use crate::node::Span;
use crate::raw::{AccessSpec, CelSpec, CelText, ConditionsSpec, OneOrMany, Spanned, TimesSpec};

const DAY: u16 = 24 * 60;

pub(super) fn access(written: &Spanned<AccessSpec>, scope: &mut Scope<'_>) -> Rule {
    let spec = &written.value;
    if spec.allow.is_none() && spec.deny.is_empty() && !scope.incomplete {
        scope.fault(written.span, "this rule lets everybody pass").label =
            "expected `allow` or `deny`".into();
    }
    let allow = spec.allow.as_ref().map(|allow| {
        if allow.value.is_empty() && !scope.incomplete {
            scope.fault(allow.span, "with an empty list nobody may").help =
                Some("write `deny: [{ ip: [\"0.0.0.0/0\", \"::/0\"] }]` if that is meant".into());
        }
        conditions(&allow.value, scope)
    });
    Rule::Access(Arc::new(Access {
        name: keys::name(spec.name.as_ref(), "access", scope),
        allow,
        deny: conditions(&spec.deny, scope),
    }))
}

fn conditions(written: &[Spanned<ConditionsSpec>], scope: &mut Scope<'_>) -> Vec<Conditions> {
    let mut all: Vec<Conditions> = Vec::new();
    for item in written {
        let spec = &item.value;
        let ip = spec.ip.as_ref().map_or(&[][..], |list| &list.0);
        let methods = spec.method.as_ref().map_or(&[][..], |list| &list.0);
        let read = Conditions {
            consumers: names(&spec.consumer, scope),
            groups: names(&spec.group, scope),
            plans: names(&spec.plan, scope),
            scopes: names(&spec.scope, scope),
            roles: names(&spec.role, scope),
            networks: ip.iter().filter_map(|item| address::network(item, scope)).collect(),
            methods: http::methods(methods, scope),
            times: spec.time.as_ref().and_then(|times| self::times(times, scope)),
        };
        for (key, list) in spec.lists() {
            empty(list, key, item.span, scope);
        }
        let asks = spec.asks();
        if !asks && !scope.incomplete {
            scope.fault(item.span, "this asks nothing, so everybody meets it").label =
                "expected one of `consumer`, `group`, `plan`, `scope`, `role`, `ip`, `method`, `time`"
                    .into();
        } else if all.contains(&read) {
            scope.fault(item.span, "this is here twice");
        }
        all.push(read);
    }
    all
}

/// A list of words, if it is written.
type Words = Option<OneOrMany<Spanned<String>>>;

impl ConditionsSpec {
    fn lists(&self) -> [(&'static str, &Words); 7] {
        let ConditionsSpec { consumer, group, plan, scope, role, ip, method, time: _ } = self;
        [
            ("consumer", consumer),
            ("group", group),
            ("plan", plan),
            ("scope", scope),
            ("role", role),
            ("ip", ip),
            ("method", method),
        ]
    }

    fn asks(&self) -> bool {
        self.time.is_some() || self.lists().iter().any(|(_, list)| list.is_some())
    }
}

/// An empty list would read as "any", though it looks like "none".
fn empty(written: &Words, key: &str, at: Span, scope: &mut Scope<'_>) {
    if written.as_ref().is_some_and(|list| list.0.is_empty()) && !scope.incomplete {
        scope.fault(at, format!("`{key}` is an empty list")).help =
            Some(format!("leave `{key}` out where it does not matter"));
    }
}

fn names(written: &Words, scope: &mut Scope<'_>) -> Vec<Name> {
    let list = written.as_ref().map_or(&[][..], |list| &list.0);
    for (place, item) in list.iter().enumerate() {
        if item.as_str().trim().is_empty() {
            scope.fault(item.span, "a name is missing here");
        } else if list[..place].iter().any(|other| other.value == item.value) {
            let shown = item.shown();
            scope.fault(item.span, format!("{shown} is here twice"));
        }
    }
    list.iter().map(|item| item.as_str().into()).collect()
}

fn times(written: &Spanned<TimesSpec>, scope: &mut Scope<'_>) -> Option<Times> {
    let spec = &written.value;
    let mut days = 0;
    for day in spec.days.as_ref().map_or(&[][..], |days| &days.0) {
        let bit = 1 << day.value as u8;
        if days & bit != 0 {
            scope.fault(day.span, "this day is here twice");
        }
        days |= bit;
    }
    if spec.days.is_none() {
        days = 0x7f;
    } else if days == 0 && !scope.incomplete {
        scope.fault(written.span, "no day is left").help =
            Some("leave `days` out to take all".into());
    }
    let hours = match &spec.hours {
        None => Some((0, DAY)),
        Some(hours) => {
            let read = self::hours(hours.as_str());
            if read.is_none() {
                let shown = hours.shown();
                scope.fault(hours.span, format!("{shown} are no hours")).label =
                    "expected such as `08:00-18:00`".into();
            }
            read
        }
    };
    let zone = match &spec.time_zone {
        None => Some(TimeZone::UTC),
        Some(name) => {
            let zone = TimeZone::get(name.as_str()).ok();
            if zone.is_none() {
                let shown = name.shown();
                scope.fault(name.span, format!("there is no time zone {shown}")).label =
                    "expected an IANA name such as `Europe/Berlin`".into();
            }
            zone
        }
    };
    let (from, until) = hours?;
    Some(Times { days, from, until, zone: zone? })
}

/// Two times of a day, in minutes.
fn hours(text: &str) -> Option<(u16, u16)> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (minute(from.trim())?, minute(until.trim())?);
    (from != until && from < DAY).then_some((from, until))
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= DAY).then_some(whole)
}

pub(super) fn cel(written: &Spanned<CelSpec>, scope: &mut Scope<'_>) -> Option<Rule> {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(Variable::schema);
    let (source, span, hidden) = match &written.value.expression {
        CelText::Alone(text) => (text.as_str(), written.span, written.hidden),
        CelText::Placed(text) => (text.as_str(), text.span, text.hidden),
    };
    let name = keys::name(written.value.name.as_ref(), "cel", scope);
    match Program::predicate(source, &SCHEMA) {
        Ok(program) => {
            let program = Arc::new(program);
            Some(Rule::Cel(Arc::new(CelRule { name, source: source.into(), program })))
        }
        Err(fault) => {
            let about = source.get(fault.at.clone()).filter(|about| !about.is_empty() && !hidden);
            let message =
                if hidden { "this expression is wrong".to_owned() } else { fault.message };
            let found = scope.fault(span, message);
            if let Some(about) = about.filter(|about| *about != source) {
                found.label = format!("at `{about}`");
            }
            found.help = fault.help.filter(|_| !hidden);
            None
        }
    }
}
