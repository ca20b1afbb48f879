//! Rules in words.

use portcullis_config::model::{Conditions, Name, Rule, Times};

use super::RunningRule;

impl RunningRule {
    /// What it asks of requests, in a line.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.rule {
            Rule::Cel(rule) => rule.source.split_whitespace().collect::<Vec<_>>().join(" "),
            Rule::Rego(rule) => {
                let files = rule.source.files.iter().map(|(name, _)| &**name);
                format!("{} of {}", rule.source.rule, files.collect::<Vec<_>>().join(", "))
            }
            Rule::ExtAuthz(rule) => format!("asks {}{}", rule.url.authority(), rule.url.path()),
            Rule::Access(rule) => {
                let deny = (!rule.deny.is_empty()).then(|| format!("deny {}", listed(&rule.deny)));
                let allow = rule.allow.as_ref().map(|allow| format!("allow {}", listed(allow)));
                deny.into_iter().chain(allow).collect::<Vec<_>>().join("; ")
            }
        }
    }
}

fn listed(list: &[Conditions]) -> String {
    list.iter().map(conditions).collect::<Vec<_>>().join(", or ")
}

fn conditions(wanted: &Conditions) -> String {
    let Conditions { consumers, groups, plans, scopes, roles, networks, methods, times } = wanted;
    let words =
        |key: &str, list: &[Name]| (!list.is_empty()).then(|| format!("{key} {}", list.join("/")));
    let networks: Vec<Name> = networks.iter().map(|one| one.to_string().into()).collect();
    let parts = [
        words("consumer", consumers),
        words("group", groups),
        words("plan", plans),
        words("scope", scopes),
        words("role", roles),
        words("ip", &networks),
        words("method", methods),
        times.as_ref().map(self::times),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn times(times: &Times) -> String {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let days = DAYS.iter().enumerate().filter(|(day, _)| times.days & (1 << day) != 0);
    let days: Vec<&str> = days.map(|(_, name)| *name).collect();
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    let zone = times.zone.iana_name().unwrap_or("UTC");
    format!("time {} {}-{} {zone}", days.join("/"), clock(times.from), clock(times.until))
}
