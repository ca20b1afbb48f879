//! Rules of who may do what, as they are read.

use jiff::tz::TimeZone;

use super::{bad, good, yaml};
use crate::model::Rule;

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
