use std::time::Duration;

use proptest::prelude::*;

use super::*;

const LIMIT: Duration = Duration::from_millis(200);

fn module(text: &str) -> Module {
    Module { name: "policy.rego".into(), text: text.into() }
}

fn policy(text: &str) -> Result<Policy, Fault> {
    Policy::compile(&[module(text)], &[r#"{"owners": {"a": "ann"}}"#], "data.gateway.allow", LIMIT)
}

fn ask(text: &str, input: &str) -> Result<Decision, RunError> {
    policy(text).unwrap().decide(Value::from_json_str(input).unwrap())
}

fn decided(allow: bool, reason: Option<&str>) -> Result<Decision, RunError> {
    Ok(Decision { allow, reason: reason.map(Into::into) })
}

#[test]
fn says_yes_or_no() {
    let owner = "package gateway\ndefault allow := false\n\
        allow if data.owners[input.thing] == input.who";
    assert_eq!(ask(owner, r#"{"thing": "a", "who": "ann"}"#), decided(true, None));
    assert_eq!(ask(owner, r#"{"thing": "a", "who": "bob"}"#), decided(false, None));
    assert_eq!(ask(owner, r#"{"thing": "b", "who": "ann"}"#), decided(false, None));
    let why = "package gateway\nallow := {\"allow\": false, \"reason\": \"too late\"}";
    assert_eq!(ask(why, "{}"), decided(false, Some("too late")));
}

#[test]
fn what_is_neither_is_an_error() {
    for (text, error) in [
        ("allow if input.x", RunError::Undefined),
        ("allow := 1", RunError::Neither),
        ("allow := \"true\"", RunError::Neither),
        ("allow := {\"allow\": \"true\"}", RunError::Neither),
        ("allow := {}", RunError::Neither),
    ] {
        assert_eq!(ask(&format!("package gateway\n{text}"), "{}"), Err(error), "{text}");
    }
    // What reaches out is not there, as any other name that nobody knows.
    for call in ["unknown(1)", "http.send({})", "time.now_ns() > 0", "opa.runtime()"] {
        let failed = ask(&format!("package gateway\nallow if {call}"), "{}");
        assert!(matches!(failed, Err(RunError::Failed(_))), "{call}");
    }
    // What a builtin refuses is no `undefined`, whose `not` would hold.
    let text = "package gateway\nallow if not startswith(input.path, \"/admin\")";
    assert!(matches!(ask(text, r#"{"path": null}"#), Err(RunError::Failed(_))));
}

#[test]
fn faults_are_found_when_compiled() {
    for (text, about) in [
        ("package gateway\nallow if {", "policy.rego:"),
        ("allow := true", "package"),
        ("package gateway\nallow if x", "x"),
        ("package gateway\ndeny := true", "data.gateway.allow"),
    ] {
        let Err(fault) = policy(text) else { panic!("{text}: no fault") };
        let fault = fault.to_string();
        assert!(fault.contains(about), "{text}: {fault}");
    }
    let data = |data| Policy::compile(&[module("package a\nb := 1")], &[data], "data.a.b", LIMIT);
    assert!(matches!(data("[1]"), Err(Fault::Data(_))));
    assert!(matches!(data("{"), Err(Fault::Data(_))));
}

#[test]
fn it_can_be_shown_whatever_it_is_made_of() {
    let policy = policy("package gateway\nallow := \"ééééééééééééééééééééééééé\"").unwrap();
    assert_eq!(format!("{policy:?}"), "Policy { entry: \"data.gateway.allow\", .. }");
}

#[test]
fn a_run_ends() {
    let endless = "package gateway\nallow if {\n  some a in numbers.range(1, 10000)\n  \
        some b in numbers.range(1, 10000)\n  some c in numbers.range(1, 10000)\n  a + b + c < 0\n}";
    assert!(matches!(ask(endless, "{}"), Err(RunError::Failed(_))));
}

#[test]
fn what_calls_itself_is_refused() {
    for text in [
        "allow if f(1)\nf(x) := f(x)",
        "allow if f(1)\nf(x) := f(x + 1)",
        "allow if f(1)\nf(x) := y if {\n  some z in [1]\n  y := [g(z) | true]\n}\ng(x) := f(x)",
        "allow if f(1)\nf(x) := data.gateway.f(x)",
        "allow if f(1)\nf(x) := data.gateway[\"f\"](x)",
        "import data.gateway as me\nallow if f(1)\nf(x) := me.f(x)",
    ] {
        let fault = policy(&format!("package gateway\n{text}")).expect_err(text).to_string();
        assert!(fault.contains("may call itself"), "{text}: {fault}");
    }
    // The engine itself looks for circles of rules, as it runs.
    assert!(ask("package gateway\nallow if allow", "{}").is_err());
    assert!(ask("package gateway\nallow if other\nother if f(1)\nf(x) if other", "{}").is_err());
}

#[test]
fn what_builds_on_itself_too_deep_is_refused() {
    let chain = |length: usize| {
        let steps = (0..length).map(|n| format!("f{n}(x) := f{}(x)\n", n + 1));
        let steps: String = steps.collect();
        policy(&format!("package gateway\n{steps}f{length}(x) := x\nallow := f0(true)"))
    };
    assert!(chain(100).unwrap_err().to_string().contains("deep"));
    let input = Value::new_object();
    assert_eq!(chain(60).unwrap().decide(input), decided(true, None));
}

#[test]
fn what_goes_on_too_long_is_refused() {
    // As long as a module may be: the tree of one that were read could not even be dropped.
    for (first, more) in [
        ("(1", "+1"),
        ("(1", "\n+1"),
        ("(1", " -1"),
        ("(1", "\n-1"),
        ("(1", "\n\"+\" 1"),
        ("(1", "+ # that\n1"),
        ("(1", " in\n[1]"),
        ("({1", "}|{1"),
        ("(a", "[\n0]"),
        ("(a", "[0]"),
        ("(a", ".b"),
        ("(f(1)", " + f(\n1, 2)"),
        ("([1", "] + [\n1"),
        ("(", "- "),
    ] {
        let text = format!("package gateway\nallow if {first}{}", more.repeat(19_000));
        let fault = policy(&text).expect_err(more).to_string();
        let about = ["more than 64 operators", "maximum column width"];
        assert!(about.iter().any(|about| fault.contains(about)), "{more}: {fault}");
    }
}

#[test]
fn long_modules_of_short_expressions_are_read() {
    let rows = (0..1_000).map(|n| format!("  [{n}, {{\"a\": {n} - 1, \"b.c+d\": -1}}],\n"));
    let rows: String = rows.collect();
    let rules =
        (0..1_000).map(|n| format!("allow if {{\n  r[{n}][0] + 1 == 2\n  1 + 1 != 3\n}}\n"));
    let rules: String = rules.collect();
    let policy = policy(&format!("package gateway\nr := [\n{rows}]\n{rules}")).unwrap();
    assert_eq!(policy.decide(Value::new_object()), decided(true, None));
}

#[test]
fn tests_are_run() {
    let text = "package gateway_test\nimport data.gateway\n\
        test_yes if gateway.allow with input as {\"who\": \"ann\"}\n\
        test_no if gateway.allow with input as {\"who\": \"bob\"}\n\
        todo_test_later if false\n\
        test_error if startswith(1, 2)\n";
    let modules = [
        module("package gateway\ndefault allow := false\nallow if input.who == \"ann\""),
        Module { name: "policy_test.rego".into(), text: text.into() },
    ];
    let tested = test(&modules, &[], LIMIT).unwrap();
    let all: Vec<_> = tested.iter().map(|one| (&*one.name, &one.outcome)).collect();
    assert!(
        matches!(
            all[..],
            [
                ("data.gateway_test.test_error", Outcome::Error(_)),
                ("data.gateway_test.test_no", Outcome::Failed),
                ("data.gateway_test.test_yes", Outcome::Passed),
                ("data.gateway_test.todo_test_later", Outcome::Todo),
            ]
        ),
        "{all:?}"
    );
}

proptest! {
    #[test]
    fn nothing_that_is_written_panics(text in r#"package gateway\n(allow|deny|:=| |if|\{|\}|not|\(|\)|\[|\]|"|x|1|\.|,|==|in|some|every|\n|data|input|with|as|`|'|\\|é){0,40}"#) {
        if let Ok(policy) = policy(&text) {
            let _ = policy.decide(Value::new_object());
        }
    }

    #[test]
    fn nothing_that_is_asked_panics(text in r#"\{"a": ([0-9e.-]{1,8}|"[^"\\]{0,20}"|\[\]|null|true)\}"#) {
        let Ok(input) = Value::from_json_str(&text) else { return Ok(()) };
        let policy = policy(
            "package gateway\nallow if {\n  startswith(input.a, \"x\")\n  input.a + 1 > 2\n  \
            input.a % 3 == 0\n  count(input.a) > 1\n  regex.match(`^a+$`, input.a)\n}\n\
            allow if net.cidr_contains(\"10.0.0.0/8\", input.a)\n\
            allow if to_number(input.a) / 3 > 1\nallow if substring(input.a, 1, 2) == \"é\"\n\
            allow if base64.decode(input.a) == \"a\"\nallow if sprintf(\"%d %s\", [input.a, input.a]) == \"\"",
        ).unwrap();
        let _ = policy.decide(input);
    }
}
