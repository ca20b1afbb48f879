//! Sums and the like. What does not fit its type is an error, not another number.

use std::borrow::Cow;

use crate::ast::Operator;
use crate::fault::RunError;
use crate::run::Run;
use crate::value::{List, Value};

const OVERFLOW: RunError = RunError::Failed(Cow::Borrowed("this number does not fit its type"));
const MISMATCH: RunError = RunError::Failed(Cow::Borrowed("these cannot be reckoned together"));

pub(crate) fn negate(value: Value<'_>) -> Result<Value<'_>, RunError> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(OVERFLOW),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(RunError::new("this has no negative")),
    }
}

pub(crate) fn apply<'a>(
    operator: Operator,
    one: Value<'a>,
    other: Value<'a>,
    run: &mut Run<'a, '_>,
) -> Result<Value<'a>, RunError> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => int(operator, one, other).map(Value::Int),
        (Value::Uint(one), Value::Uint(other)) => uint(operator, one, other).map(Value::Uint),
        (Value::Double(one), Value::Double(other)) => Ok(Value::Double(match operator {
            Operator::Add => one + other,
            Operator::Subtract => one - other,
            Operator::Multiply => one * other,
            Operator::Divide => one / other,
            _ => return Err(MISMATCH),
        })),
        (one, other) => match operator {
            Operator::Add => add(one, other, run),
            Operator::Subtract => subtract(one, other),
            _ => Err(MISMATCH),
        },
    }
}

fn int(operator: Operator, one: i64, other: i64) -> Result<i64, RunError> {
    match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide | Operator::Remainder if other == 0 => {
            return Err(RunError::new("a division by zero"));
        }
        Operator::Divide => one.checked_div(other),
        Operator::Remainder => one.checked_rem(other),
        _ => return Err(MISMATCH),
    }
    .ok_or(OVERFLOW)
}

fn uint(operator: Operator, one: u64, other: u64) -> Result<u64, RunError> {
    match operator {
        Operator::Add => one.checked_add(other),
        Operator::Subtract => one.checked_sub(other),
        Operator::Multiply => one.checked_mul(other),
        Operator::Divide | Operator::Remainder if other == 0 => {
            return Err(RunError::new("a division by zero"));
        }
        Operator::Divide => one.checked_div(other),
        Operator::Remainder => one.checked_rem(other),
        _ => return Err(MISMATCH),
    }
    .ok_or(OVERFLOW)
}

fn add<'a>(one: Value<'a>, other: Value<'a>, run: &mut Run<'a, '_>) -> Result<Value<'a>, RunError> {
    Ok(match (one, other) {
        (Value::Text(one), Value::Text(other)) => {
            run.pay(one.len() + other.len())?;
            Value::Text(one + other)
        }
        (Value::Bytes(one), Value::Bytes(other)) => {
            run.pay(one.len() + other.len())?;
            Value::Bytes(Cow::Owned([one, other].concat()))
        }
        (Value::List(one), Value::List(other)) => {
            run.pay((one.len() + other.len()) * 16)?;
            let (one, other) = (one.items(), other.items());
            Value::List(List::Own(one.iter().chain(other.iter()).cloned().collect()))
        }
        (Value::Timestamp(moment), Value::Duration(time))
        | (Value::Duration(time), Value::Timestamp(moment)) => {
            Value::Timestamp(moment.checked_add(time).map_err(|_| OVERFLOW)?)
        }
        (Value::Duration(one), Value::Duration(other)) => {
            Value::Duration(one.checked_add(other).ok_or(OVERFLOW)?)
        }
        _ => return Err(MISMATCH),
    })
}

fn subtract<'a>(one: Value<'a>, other: Value<'a>) -> Result<Value<'a>, RunError> {
    Ok(match (one, other) {
        (Value::Timestamp(one), Value::Timestamp(other)) => {
            Value::Duration(one.duration_since(other))
        }
        (Value::Timestamp(moment), Value::Duration(time)) => {
            Value::Timestamp(moment.checked_sub(time).map_err(|_| OVERFLOW)?)
        }
        (Value::Duration(one), Value::Duration(other)) => {
            Value::Duration(one.checked_sub(other).ok_or(OVERFLOW)?)
        }
        _ => return Err(MISMATCH),
    })
}
