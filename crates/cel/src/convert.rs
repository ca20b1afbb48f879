//! Functions of one argument: sizes, letters, and values of one type as those of another.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::fault::RunError;
use crate::functions::Function;
use crate::run::Run;
use crate::time;
use crate::value::Value;

const NEITHER: RunError =
    RunError::Failed(Cow::Borrowed("this function does not take such a value"));
const RANGE: RunError = RunError::Failed(Cow::Borrowed("this value has no such number"));

pub(crate) fn apply<'a>(
    function: Function,
    value: Value<'a>,
    run: &mut Run<'a, '_>,
) -> Result<Value<'a>, RunError> {
    if let Value::Text(text) = &value {
        run.pay(text.len())?;
    }
    match function {
        Function::Size => size(&value, run),
        Function::LowerAscii => text(value).map(|text| match text {
            text if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Value::Text(Cow::Owned(text.to_ascii_lowercase()))
            }
            text => Value::Text(text),
        }),
        Function::UpperAscii => text(value).map(|text| match text {
            text if text.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                Value::Text(Cow::Owned(text.to_ascii_uppercase()))
            }
            text => Value::Text(text),
        }),
        Function::Trim => text(value).map(|text| match text {
            Cow::Borrowed(text) => Value::Text(Cow::Borrowed(text.trim())),
            Cow::Owned(text) => Value::Text(Cow::Owned(text.trim().to_owned())),
        }),
        Function::ToString => string(value, run),
        Function::ToInt => int(&value).map(Value::Int),
        Function::ToUint => uint(&value).map(Value::Uint),
        Function::ToDouble => double(&value).map(Value::Double),
        Function::ToBool => match value {
            Value::Bool(value) => Ok(Value::Bool(value)),
            Value::Text(text) => match &*text {
                "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Value::Bool(false)),
                _ => Err(RunError::new("this string is neither true nor false")),
            },
            _ => Err(NEITHER),
        },
        Function::ToBytes => match value {
            Value::Bytes(bytes) => Ok(Value::Bytes(bytes)),
            Value::Text(Cow::Borrowed(text)) => Ok(Value::Bytes(Cow::Borrowed(text.as_bytes()))),
            Value::Text(Cow::Owned(text)) => Ok(Value::Bytes(Cow::Owned(text.into_bytes()))),
            _ => Err(NEITHER),
        },
        Function::ToTimestamp => timestamp(value),
        Function::ToDuration => match value {
            Value::Duration(time) => Ok(Value::Duration(time)),
            Value::Text(text) => time::duration(&text)
                .map(Value::Duration)
                .ok_or(RunError::new("this string is no duration")),
            _ => Err(NEITHER),
        },
        Function::ToDyn => Ok(value),
        Function::Part(part) => match value {
            Value::Timestamp(moment) => Ok(Value::Int(time::part(part, moment, &TimeZone::UTC))),
            Value::Duration(time) => {
                time::part_of_duration(part, time).map(Value::Int).ok_or(NEITHER)
            }
            _ => Err(NEITHER),
        },
        Function::Contains | Function::StartsWith | Function::EndsWith => Err(NEITHER),
    }
}

fn text(value: Value<'_>) -> Result<Cow<'_, str>, RunError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(NEITHER),
    }
}

fn size<'a>(value: &Value<'a>, run: &mut Run<'a, '_>) -> Result<Value<'a>, RunError> {
    let size = match value {
        Value::Text(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => {
            let size = map.len();
            run.pay(size * 16)?;
            size
        }
        _ => return Err(NEITHER),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn string<'a>(value: Value<'a>, run: &mut Run<'a, '_>) -> Result<Value<'a>, RunError> {
    let made = match value {
        Value::Text(text) => return Ok(Value::Text(text)),
        Value::Bytes(bytes) => {
            run.pay(bytes.len())?;
            let no_text = RunError::new("these bytes are no UTF-8");
            return match bytes {
                Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Value::text),
                Cow::Owned(bytes) => String::from_utf8(bytes)
                    .map(|text| Value::Text(Cow::Owned(text)))
                    .map_err(|error| error.utf8_error()),
            }
            .map_err(|_| no_text);
        }
        Value::Bool(value) => return Ok(Value::text(if value { "true" } else { "false" })),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Timestamp(moment) => moment.to_string(),
        Value::Duration(time) => time::shown(time),
        Value::Null | Value::List(_) | Value::Map(_) => return Err(NEITHER),
    };
    run.pay(made.len())?;
    Ok(Value::Text(Cow::Owned(made)))
}

fn int(value: &Value<'_>) -> Result<i64, RunError> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::Uint(number) => i64::try_from(*number).map_err(|_| RANGE),
        // The ends themselves are doubles beyond the type, or may stand for such ones.
        Value::Double(number) if *number > i64::MIN as f64 && *number < i64::MAX as f64 => {
            Ok(*number as i64)
        }
        Value::Text(text) => text.parse().map_err(|_| RANGE),
        Value::Timestamp(moment) => Ok(moment.as_second()),
        Value::Double(_) => Err(RANGE),
        _ => Err(NEITHER),
    }
}

fn uint(value: &Value<'_>) -> Result<u64, RunError> {
    match value {
        Value::Uint(number) => Ok(*number),
        Value::Int(number) => u64::try_from(*number).map_err(|_| RANGE),
        Value::Double(number) if *number > -1.0 && *number < u64::MAX as f64 => Ok(*number as u64),
        Value::Text(text) => text.parse().map_err(|_| RANGE),
        Value::Double(_) => Err(RANGE),
        _ => Err(NEITHER),
    }
}

fn double(value: &Value<'_>) -> Result<f64, RunError> {
    match value {
        Value::Double(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Uint(number) => Ok(*number as f64),
        Value::Text(text) => text.parse().map_err(|_| RANGE),
        _ => Err(NEITHER),
    }
}

fn timestamp(value: Value<'_>) -> Result<Value<'_>, RunError> {
    match value {
        Value::Timestamp(moment) => Ok(Value::Timestamp(moment)),
        Value::Int(seconds) => {
            Timestamp::from_second(seconds).map(Value::Timestamp).map_err(|_| RANGE)
        }
        Value::Text(text) => text
            .parse()
            .map(Value::Timestamp)
            .map_err(|_| RunError::new("this string is no timestamp")),
        _ => Err(NEITHER),
    }
}
