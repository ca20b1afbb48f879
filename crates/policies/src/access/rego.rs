//! Policies of Rego, asked over all that expressions can name of a request, as one document:
//! `input.request.method`, `input.claims.sub`.

use std::collections::BTreeMap;

use portcullis_cel::{List, Map, Source, Value};
use portcullis_config::model::{RegoRule, Variable};
use portcullis_rego::Value as Document;

/// The longest reason that is logged, in bytes.
const LONGEST: usize = 256;

/// Whether a request passes.
///
/// # Errors
/// Why it does not.
pub(super) fn decide<'a>(rule: &RegoRule, source: &dyn Source<'a>) -> Result<(), String> {
    let decision = rule.policy.decide(input(source)?).map_err(|error| error.to_string())?;
    if decision.allow {
        return Ok(());
    }
    let reason = decision.reason.as_deref().unwrap_or("the policy says no");
    let end = (0..=reason.len().min(LONGEST)).rev().find(|end| reason.is_char_boundary(*end));
    Err(reason.get(..end.unwrap_or(0)).unwrap_or_default().to_owned())
}

/// All that is known of a request. What cannot be read refuses it, since a policy could not tell that
/// from what is not there; the address alone may be unknown, and is `null` then.
fn input<'a>(source: &dyn Source<'a>) -> Result<Document, &'static str> {
    let mut whole: BTreeMap<Document, Document> = BTreeMap::new();
    let mut parts: BTreeMap<&str, BTreeMap<Document, Document>> = BTreeMap::new();
    for (place, variable) in Variable::ALL.into_iter().enumerate() {
        let (name, _) = variable.describe();
        let value = match source.variable(place) {
            Ok(value) => document(value),
            Err(_) if variable == Variable::Ip => Document::Null,
            Err(why) => return Err(why),
        };
        match name.split_once('.') {
            Some((part, name)) => {
                parts.entry(part).or_default().insert(name.into(), value);
            }
            None => {
                whole.insert(name.into(), value);
            }
        }
    }
    whole.extend(parts.into_iter().map(|(part, fields)| (part.into(), fields.into())));
    Ok(whole.into())
}

/// A value as Rego has it. A moment is in nanoseconds since 1970.
fn document(value: Value<'_>) -> Document {
    match value {
        Value::Null | Value::Bytes(_) => Document::Null,
        Value::Bool(value) => value.into(),
        Value::Int(number) => number.into(),
        Value::Uint(number) => number.into(),
        Value::Double(number) => number.into(),
        Value::Text(text) => (&*text).into(),
        Value::Timestamp(time) => time.as_nanosecond().into(),
        Value::Duration(duration) => duration.as_nanos().into(),
        Value::List(List::Own(items)) => list(items.iter().cloned()),
        Value::List(List::Host(items)) => list(items.items().into_iter()),
        Value::Map(Map::Own(fields)) => {
            let fields = fields.iter().cloned();
            let fields = fields.map(|(key, value)| (document(key), document(value)));
            fields.collect::<BTreeMap<_, _>>().into()
        }
        Value::Map(Map::Host(map)) => {
            let field = |key: &str| match map.value(key) {
                Ok(value) => value.map(document),
                // It is there, and nobody can say what it is.
                Err(_) => Some(Document::Null),
            };
            let keys = map.keys().into_iter();
            let fields = keys.filter_map(|key| Some(((&*key).into(), field(&key)?)));
            fields.collect::<BTreeMap<_, _>>().into()
        }
    }
}

fn list<'a>(items: impl Iterator<Item = Value<'a>>) -> Document {
    items.map(document).collect::<Vec<_>>().into()
}
