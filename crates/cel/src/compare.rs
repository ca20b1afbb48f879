//! What is equal, and what comes before what. Numbers of all kinds are compared by what they are
//! worth; things of other kinds that differ are not equal, and have no order.

use std::cmp::Ordering;

use crate::ast::Operator;
use crate::fault::RunError;
use crate::run::Run;
use crate::value::{List, Map, Value};

/// How deep values are compared that the source has nested.
const DEEPEST: usize = 64;

pub(crate) fn equal<'a>(
    one: &Value<'a>,
    other: &Value<'a>,
    run: &mut Run<'a, '_>,
) -> Result<bool, RunError> {
    equal_at(one, other, run, 0)
}

fn equal_at<'a>(
    one: &Value<'a>,
    other: &Value<'a>,
    run: &mut Run<'a, '_>,
    depth: usize,
) -> Result<bool, RunError> {
    run.pay(0)?;
    Ok(match (one, other) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Text(one), Value::Text(other)) => {
            run.pay(one.len().min(other.len()))?;
            one == other
        }
        (Value::Bytes(one), Value::Bytes(other)) => {
            run.pay(one.len().min(other.len()))?;
            one == other
        }
        (Value::Timestamp(one), Value::Timestamp(other)) => one == other,
        (Value::Duration(one), Value::Duration(other)) => one == other,
        (Value::List(one), Value::List(other)) => return lists(one, other, run, depth + 1),
        (Value::Map(one), Value::Map(other)) => return maps(one, other, run, depth + 1),
        _ => numbers(one, other) == Some(Ordering::Equal),
    })
}

fn lists<'a>(
    one: &List<'a>,
    other: &List<'a>,
    run: &mut Run<'a, '_>,
    depth: usize,
) -> Result<bool, RunError> {
    not_too_deep(depth)?;
    if one.len() != other.len() {
        return Ok(false);
    }
    run.pay(one.len() + other.len())?;
    for (one, other) in one.items().iter().zip(other.items().iter()) {
        if !equal_at(one, other, run, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps<'a>(
    one: &Map<'a>,
    other: &Map<'a>,
    run: &mut Run<'a, '_>,
    depth: usize,
) -> Result<bool, RunError> {
    not_too_deep(depth)?;
    run.pay((one.len() + other.len()) * 16)?;
    if one.len() != other.len() {
        return Ok(false);
    }
    for key in one.keys().iter() {
        let same = match (at(one, key, run, depth)?, at(other, key, run, depth)?) {
            (Some(one), Some(other)) => equal_at(&one, &other, run, depth)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn at<'a>(
    map: &Map<'a>,
    key: &Value<'a>,
    run: &mut Run<'a, '_>,
    depth: usize,
) -> Result<Option<Value<'a>>, RunError> {
    match (map, key) {
        (Map::Host(map), Value::Text(key)) => {
            run.pay(key.len() + map.len())?;
            map.value(key).map_err(RunError::new)
        }
        (Map::Host(_), _) => Ok(None),
        (Map::Own(entries), key) => {
            for (known, value) in entries.iter() {
                if equal_at(known, key, run, depth)? {
                    return Ok(Some(value.clone()));
                }
            }
            Ok(None)
        }
    }
}

fn not_too_deep(depth: usize) -> Result<(), RunError> {
    if depth > DEEPEST {
        Err(RunError::new("this is nested too deeply to compare"))
    } else {
        Ok(())
    }
}

pub(crate) fn order<'a>(
    operator: Operator,
    one: &Value<'a>,
    other: &Value<'a>,
    run: &mut Run<'a, '_>,
) -> Result<bool, RunError> {
    let ordering = match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Text(one), Value::Text(other)) => {
            run.pay(one.len().min(other.len()))?;
            Some(one.cmp(other))
        }
        (Value::Bytes(one), Value::Bytes(other)) => {
            run.pay(one.len().min(other.len()))?;
            Some(one.cmp(other))
        }
        (Value::Timestamp(one), Value::Timestamp(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
        (
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
            Value::Int(_) | Value::Uint(_) | Value::Double(_),
        ) => numbers(one, other),
        _ => return Err(RunError::new("these have no order")),
    };
    // What is not a number comes neither before nor after anything.
    let Some(ordering) = ordering else { return Ok(false) };
    Ok(match operator {
        Operator::Less => ordering.is_lt(),
        Operator::AtMost => ordering.is_le(),
        Operator::More => ordering.is_gt(),
        _ => ordering.is_ge(),
    })
}

fn numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    let whole = |value: &Value<'_>| match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    };
    match (whole(one), whole(other), one, other) {
        (Some(one), Some(other), ..) => Some(one.cmp(&other)),
        (Some(one), None, _, Value::Double(other)) => whole_and_double(one, *other),
        (None, Some(other), Value::Double(one), _) => {
            whole_and_double(other, *one).map(Ordering::reverse)
        }
        (None, None, Value::Double(one), Value::Double(other)) => one.partial_cmp(other),
        _ => None,
    }
}

fn whole_and_double(one: i128, other: f64) -> Option<Ordering> {
    if other.is_nan() {
        return None;
    }
    // This conversion stops at the ends of the type, which are far beyond any whole number here.
    let floor = other.floor();
    Some(one.cmp(&(floor as i128)).then(if other > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    }))
}
