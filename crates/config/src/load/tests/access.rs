//! Rules of who may do what, as they are read.

use jiff::tz::TimeZone;

use super::{bad, good, yaml};
use crate::model::{AccessLog, Rule};

fn global(policies: &[&str]) -> String {
    let text: String = policies.iter().map(|policy| format!("  - {policy}\n")).collect();
    format!("listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\npolicies:\n{text}")
}

fn faults(written: &[&str]) -> Vec<String> {
    let faults = bad(&global(written));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn rules_mean_what_they_say() {
    let loaded = good(&global(&[
        "access: { allow: [{ group: [a, b], method: GET }, { time: { days: [fri, sat], hours: \"22:00-06:00\", time_zone: Europe/Berlin } }], deny: [{ ip: 10.0.0.0/8 }] }",
        "access: { name: other, deny: [{ scope: x }] }",
        "cel: \"true\"",
        "cel: { name: other, expression: \"request.method == 'GET'\" }",
    ]));
    let rules = &loaded.config.process.policies.rules;
    let named: Vec<String> =
        rules.iter().map(|rule| format!("{} {}", rule.kind(), rule.name())).collect();
    assert_eq!(named, ["access access", "access other", "cel cel", "cel other"]);
    let Rule::Access(rule) = &rules[0] else { panic!("another rule") };
    let allow = rule.allow.as_ref().unwrap();
    assert_eq!(allow[0].groups.len(), 2);
    assert_eq!(allow[0].methods.iter().map(|m| &**m).collect::<Vec<_>>(), ["GET", "HEAD"]);
    let times = allow[1].times.as_ref().unwrap();
    assert_eq!((times.days, times.from, times.until), (0b011_0000, 22 * 60, 6 * 60));
    assert_eq!(times.zone, TimeZone::get("Europe/Berlin").unwrap());
    assert_eq!(rule.deny[0].networks.len(), 1);
}

#[test]
fn rules_that_say_nothing_or_too_much_are_faults() {
    for (policy, expected) in [
        ("access: {}", "this rule lets everybody pass"),
        ("access: { allow: [] }", "with an empty list nobody may"),
        ("access: { deny: [{}] }", "this asks nothing, so everybody meets it"),
        ("access: { deny: [{ group: [] }] }", "`group` is an empty list"),
        ("access: { deny: [{ ip: 10.0.0.1/8 }] }", "`10.0.0.1/8` has bits set behind its prefix"),
        ("access: { deny: [{ group: [a, a] }] }", "`a` is here twice"),
        ("access: { deny: [{ group: a }, { group: a }] }", "this is here twice"),
        ("access: { deny: [{ method: get }] }", "`get` is no known method: case counts"),
        ("access: { deny: [{ time: { hours: \"8-18\" } }] }", "`8-18` are no hours"),
        ("access: { deny: [{ time: { hours: \"08:00-08:00\" } }] }", "`08:00-08:00` are no hours"),
        ("access: { deny: [{ time: { hours: \"24:00-08:00\" } }] }", "`24:00-08:00` are no hours"),
        ("access: { deny: [{ time: { hours: \"08:00-24:30\" } }] }", "`08:00-24:30` are no hours"),
        ("access: { deny: [{ time: { days: [mon, mon] } }] }", "this day is here twice"),
        ("access: { deny: [{ time: { time_zone: Mars } }] }", "there is no time zone `Mars`"),
        ("cel: \"method == 'GET'\"", "there is no variable `method`"),
        ("cel: \"request.method\"", "this gives string, where yes or no (bool) is asked for"),
        ("cel: \"request.size == 'x'\"", "int `==` string makes no sense"),
        (
            "cel: { name: a, expression: \"lower(request.path) == ''\" }",
            "there is no function `lower`",
        ),
        ("cel: \"\"", "the expression ends too early"),
    ] {
        assert_eq!(faults(&[policy]), [expected], "{policy}");
    }
    assert_eq!(faults(&["cel: \"true\"", "cel: \"false\""]), ["the cel rule `cel` is here twice"]);
    let report = yaml(&global(&["cel: \"true && request.verb == 'GET'\""])).load().unwrap_err();
    let text = report.render(false);
    assert!(text.contains("at `request.verb`") && text.contains("request.method"), "{text}");
}

#[test]
fn an_expression_that_a_reference_brings_in_is_not_shown() {
    let text = global(&["cel: \"${PORTCULLIS_NO_SUCH:-secret == 'hidden'}\""]);
    let report = yaml(&text).load().unwrap_err().render(false);
    assert!(report.contains("this expression is wrong"), "{report}");
}

#[test]
fn whom_nobody_knows_is_told() {
    let access = "access: { allow: [{ ip: 10.0.0.0/8 }, { group: [staff, stuff] }], deny: [{ consumer: anne, plan: gone }] }";
    let known = "groups: { staff: {} }\nplans: { free: {} }\nconsumers: { ann: { groups: [staff], plan: free } }\n";
    let text = global(&["cel: \"true\"", access]) + known;
    let warnings = |text: &str| -> Vec<String> {
        let loaded = yaml(text).load().unwrap();
        let faults = loaded.warnings.faults().iter();
        faults
            .map(|fault| {
                let place = &fault.places[0];
                let help = fault.help.as_deref().unwrap_or_default();
                format!("{}:{} {} {help}", place.line, place.column, fault.message)
            })
            .collect()
    };
    let column = |word: &str| 5 + access.find(word).unwrap();
    let expected = [
        format!("4:{} there is no group `stuff` did you mean `staff`?", column("stuff")),
        format!("4:{} there is no consumer `anne` did you mean `ann`?", column("anne")),
        format!("4:{} there is no plan `gone` ", column("gone")),
    ];
    assert_eq!(warnings(&text), expected);
    // Somebody of that name may be in the store.
    let secret = "0123456789abcdef0123456789abcdef";
    let with_store = format!("{text}credentials: {{ secret: {secret}, store: consumers.redb }}\n");
    assert_eq!(warnings(&with_store), [""; 0]);
    let all = text.replace("anne", "ann").replace(", stuff", "").replace("gone", "free");
    assert_eq!(warnings(&all), [""; 0]);
}

#[test]
fn many_whom_nobody_knows_hide_no_fault() {
    let names: Vec<String> = (0..2000).map(|number| format!("c{number}")).collect();
    let access = format!("access: {{ deny: [{{ consumer: [{}] }}] }}", names.join(", "));
    let text = global(&[&access]);
    assert_eq!(yaml(&text).load().unwrap().warnings.warnings(), 101);
    let text = text + "routes: { r: { service: gone } }\n";
    assert_eq!(yaml(&text).load().unwrap_err().errors(), 1);
}

#[test]
fn claims_of_the_log() {
    let log = |claims: &str| {
        format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\naccess_log: {{ claims: {claims} }}\n"
        )
    };
    let loaded = good(&log("{ tenant: org.id, sub: sub }"));
    let process = &loaded.config.process;
    let names: Vec<&str> = process.logged_claims.iter().map(|(name, _)| &**name).collect();
    assert_eq!((names, &process.access_log), (vec!["sub", "tenant"], &AccessLog::Stdout));
    let many: String = (0..17).map(|number| format!("c{number:02}: c, ")).collect();
    for (claims, said) in [
        ("{ Tenant: org }", "the name of this claim cannot stand in a line"),
        ("{ \"a\\\"b\": org }", "the name of this claim cannot stand in a line"),
        ("{ tenant: \"\" }", "names no claim"),
        (&*format!("{{ {many} }}"), "a line tells 16 claims at most"),
    ] {
        let faults = bad(&log(claims));
        assert!(faults.len() == 1 && faults[0].contains(said), "{faults:?}");
    }
}
