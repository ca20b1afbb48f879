//! Policies of Rego: read, compiled, and shared by all who name the same files.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use portcullis_rego::{Fault, Module, Policy};

use super::super::Scope;
use super::keys;
use crate::model::{Name, RegoRule, RegoSource, Rule};
use crate::raw::{RegoSpec, Spanned};

const TIMEOUT: Duration = Duration::from_millis(10);
/// A worker does nothing else meanwhile.
const LONGEST: Duration = Duration::from_millis(100);

/// Policies that are in use, so that a central one is compiled once however many routes name it.
static IN_USE: Mutex<Vec<(Arc<RegoSource>, Weak<Policy>)>> = Mutex::new(Vec::new());

pub(super) fn rego(written: &Spanned<RegoSpec>, scope: &mut Scope<'_>) -> Option<Rule> {
    let spec = &written.value;
    let faults = scope.findings.len();
    let name = keys::name(spec.name.as_ref(), "rego", scope);
    let timeout = scope.time(spec.timeout.as_ref(), TIMEOUT);
    if let Some(timeout) = spec.timeout.as_ref().filter(|_| timeout > LONGEST) {
        scope
            .fault(timeout.span, "a decision that takes longer keeps other requests waiting")
            .label = "expected at most `100ms`".into();
    }
    let files = files(spec, scope);
    if scope.incomplete || scope.findings.len() > faults {
        return None;
    }
    let source = RegoSource { files, rule: spec.rule.as_str().into(), timeout };
    match shared(source) {
        Ok((source, policy)) => Some(Rule::Rego(Arc::new(RegoRule { name, source, policy }))),
        Err(fault) => {
            let at = if let Fault::Entry { .. } = fault { spec.rule.span } else { written.span };
            let found = scope.fault(at, fault.to_string());
            if let Fault::Entry { .. } = fault {
                found.help = Some("write it from `data`, such as `data.gateway.allow`".into());
            }
            None
        }
    }
}

fn files(spec: &RegoSpec, scope: &mut Scope<'_>) -> Vec<(Name, Arc<[u8]>)> {
    let mut files: Vec<(Name, Arc<[u8]>)> = Vec::new();
    for written in &spec.files.0 {
        let name = written.as_str();
        if !name.ends_with(".rego") && !name.ends_with(".json") {
            let shown = written.shown();
            scope.fault(written.span, format!("{shown} is neither a module nor data")).label =
                "expected a name that ends in `.rego` or `.json`".into();
            continue;
        }
        let (_, content) = scope.file(written);
        if std::str::from_utf8(&content).is_err() {
            scope.fault(written.span, format!("{} is no UTF-8", written.shown()));
        }
        files.push((name.into(), content));
    }
    if !files.iter().any(|(name, _)| name.ends_with(".rego")) && !scope.incomplete {
        let at = spec.files.0.first().map_or(spec.rule.span, |first| first.span);
        scope.fault(at, "there is no module (`.rego`) among these files");
    }
    files
}

/// A compiled policy; the one that there is, if there is one of the same source.
fn shared(source: RegoSource) -> Result<(Arc<RegoSource>, Arc<Policy>), Fault> {
    let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    in_use.retain(|(_, policy)| policy.strong_count() > 0);
    let same = in_use.iter().find(|(other, _)| **other == source);
    if let Some((source, policy)) = same.and_then(|(s, policy)| Some((s, policy.upgrade()?))) {
        return Ok((Arc::clone(source), policy));
    }
    let policy = Arc::new(compile(&source)?);
    let source = Arc::new(source);
    in_use.push((Arc::clone(&source), Arc::downgrade(&policy)));
    Ok((source, policy))
}

fn compile(source: &RegoSource) -> Result<Policy, Fault> {
    let text = |content: &[u8]| String::from_utf8_lossy(content).into_owned();
    let (modules, data): (Vec<_>, Vec<_>) =
        source.files.iter().partition(|(name, _)| name.ends_with(".rego"));
    let module = |(name, content): &(Name, Arc<[u8]>)| Module {
        name: name.to_string(),
        text: text(content),
    };
    let modules: Vec<Module> = modules.into_iter().map(module).collect();
    let data: Vec<String> = data.into_iter().map(|(_, content)| text(content)).collect();
    let data: Vec<&str> = data.iter().map(String::as_str).collect();
    Policy::compile(&modules, &data, &source.rule, source.timeout)
}
