//! Whether what is written of a request holds.

use jiff::Timestamp;
use portcullis_config::model::{Conditions, Name, Times};

use super::Asker;

/// Whether everything that is said holds, each by any of its values.
pub(super) fn are_met(wanted: &Conditions, asker: &Asker<'_>) -> bool {
    let Conditions { consumers, groups, plans, scopes, roles, networks, methods, times } = wanted;
    let identity = asker.identity;
    let named = |list: &[Name], name: Option<&str>| {
        list.is_empty() || name.is_some_and(|name| list.iter().any(|one| **one == *name))
    };
    let any = |list: &[Name], has: &dyn Fn(&str) -> bool| {
        list.is_empty() || list.iter().any(|one| has(one))
    };
    let client = asker.client.map(|client| client.to_canonical());
    (methods.is_empty() || methods.iter().any(|one| one.as_bytes() == asker.method))
        && (networks.is_empty()
            || client.is_some_and(|client| networks.iter().any(|one| one.contains(&client))))
        && named(consumers, identity.consumer_name())
        && named(plans, identity.plan().map(|plan| &**plan))
        && any(groups, &|group| identity.groups().iter().any(|one| **one == *group))
        && any(scopes, &|scope| identity.has_scope(scope))
        && any(roles, &|role| identity.has_role(role))
        && times.as_ref().is_none_or(|times| is_in(times, (asker.now)()))
}

/// Whether a moment is in one of the stretches.
pub(super) fn is_in(times: &Times, moment: Timestamp) -> bool {
    let local = times.zone.to_datetime(moment);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    let (from, until) = (i32::from(times.from), i32::from(times.until));
    let today = local.weekday().to_monday_zero_offset();
    let begins = |day: i8| times.days & (1 << day) != 0;
    if from < until {
        return begins(today) && (from..until).contains(&minute);
    }
    // Beyond midnight: what began today, and what began yesterday and is not over.
    (begins(today) && minute >= from) || (begins((today + 6) % 7) && minute < until)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::identity::{Consumer, Granted, Identity};

    fn times(days: u8, from: u16, until: u16, zone: &str) -> Times {
        Times { days, from: from * 60, until: until * 60, zone: TimeZone::get(zone).unwrap() }
    }

    fn within(times: &Times, moment: &str) -> bool {
        is_in(times, moment.parse().unwrap())
    }

    #[test]
    fn hours_of_days_in_a_zone() {
        // The 4th of March 2024 is a Monday.
        let work = times(0b001_1111, 8, 18, "Europe/Berlin");
        assert!(within(&work, "2024-03-04T07:00:00Z") && within(&work, "2024-03-04T16:59:59Z"));
        assert!(!within(&work, "2024-03-04T06:59:59Z") && !within(&work, "2024-03-04T17:00:00Z"));
        assert!(!within(&work, "2024-03-09T12:00:00Z"));
        // In summer an hour earlier.
        assert!(within(&work, "2024-07-01T06:00:00Z") && !within(&work, "2024-07-01T16:00:00Z"));
        let always = times(0x7f, 0, 24, "UTC");
        assert!(within(&always, "2024-03-04T00:00:00Z") && within(&always, "2024-03-04T23:59:59Z"));
    }

    #[test]
    fn hours_beyond_midnight_belong_to_their_first_day() {
        let friday = times(0b001_0000, 22, 6, "UTC");
        assert!(within(&friday, "2024-03-08T22:00:00Z") && within(&friday, "2024-03-09T05:59:00Z"));
        assert!(
            !within(&friday, "2024-03-08T05:00:00Z") && !within(&friday, "2024-03-09T22:00:00Z")
        );
        let sunday = times(0b100_0000, 22, 6, "UTC");
        assert!(
            within(&sunday, "2024-03-11T01:00:00Z") && !within(&sunday, "2024-03-10T01:00:00Z")
        );
    }

    #[test]
    fn all_that_is_said_must_hold_each_by_any_value() {
        let consumer = Consumer {
            name: "ann".into(),
            groups: Some(Arc::from(["staff".into()])),
            plan: Some("gold".into()),
            more: None,
        };
        let granted = Granted { scopes: vec!["read".into()], roles: vec!["admin".into()] };
        let identity = Identity {
            consumer: Some(Arc::new(consumer)),
            granted: Some(Arc::new(granted)),
            ..Identity::default()
        };
        let asker = Asker {
            identity: &identity,
            client: Some("::ffff:10.1.2.3".parse().unwrap()),
            method: b"GET",
            now: || Timestamp::UNIX_EPOCH,
        };
        let list = |names: &[&str]| names.iter().map(|name| Name::from(*name)).collect();
        let met = |wanted: Conditions| are_met(&wanted, &asker);
        let none = Conditions::default;
        assert!(met(Conditions { consumers: list(&["bob", "ann"]), ..none() }));
        assert!(met(Conditions {
            groups: list(&["x", "staff"]),
            plans: list(&["gold"]),
            ..none()
        }));
        assert!(met(Conditions { scopes: list(&["read"]), roles: list(&["admin"]), ..none() }));
        assert!(met(Conditions { networks: vec!["10.0.0.0/8".parse().unwrap()], ..none() }));
        assert!(met(Conditions { methods: list(&["GET", "HEAD"]), ..none() }));
        for wanted in [
            Conditions { consumers: list(&["bob"]), ..none() },
            Conditions { groups: list(&["staff"]), plans: list(&["silver"]), ..none() },
            Conditions { scopes: list(&["write"]), ..none() },
            Conditions { roles: list(&["adm"]), ..none() },
            Conditions { networks: vec!["fd00::/8".parse().unwrap()], ..none() },
            Conditions { methods: list(&["get"]), ..none() },
            Conditions { times: Some(times(0b1, 0, 24, "UTC")), ..none() },
        ] {
            assert!(!met(wanted.clone()), "{wanted:?}");
        }
        let nobody = Identity::default();
        let asker = Asker { identity: &nobody, client: None, ..asker };
        assert!(!are_met(&Conditions { consumers: list(&["ann"]), ..none() }, &asker));
        assert!(!are_met(
            &Conditions { networks: vec!["0.0.0.0/0".parse().unwrap()], ..none() },
            &asker
        ));
    }
}
