//! The functions that there are, and what they take.

use std::sync::LazyLock;

use crate::types::Type;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    ToString,
    ToInt,
    ToUint,
    ToDouble,
    ToBool,
    ToBytes,
    ToTimestamp,
    ToDuration,
    ToDyn,
    /// A part of a moment in UTC, or of a stretch of time.
    Part(Part),
}

/// A part of a moment. Those that CEL counts from 0 are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Month,
    /// Of the month, from 1.
    Date,
    /// Of the month, from 0.
    DayOfMonth,
    /// From 0, which is Sunday.
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// The functions that give them.
pub(crate) const PARTS: [(&str, Part); 10] = [
    ("getFullYear", Part::Year),
    ("getMonth", Part::Month),
    ("getDate", Part::Date),
    ("getDayOfMonth", Part::DayOfMonth),
    ("getDayOfWeek", Part::DayOfWeek),
    ("getDayOfYear", Part::DayOfYear),
    ("getHours", Part::Hours),
    ("getMinutes", Part::Minutes),
    ("getSeconds", Part::Seconds),
    ("getMilliseconds", Part::Milliseconds),
];

/// How a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `f(x)`
    Global,
    /// `x.f()`
    Method,
}

/// A function for certain types.
pub(crate) struct Overload {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) takes: Vec<Type>,
    pub(crate) gives: Type,
    pub(crate) function: Function,
}

/// All of them.
pub(crate) fn overloads() -> &'static [Overload] {
    static ALL: LazyLock<Vec<Overload>> = LazyLock::new(all);
    &ALL
}

fn all() -> Vec<Overload> {
    use Form::{Global, Method};
    use Type::{Bool, Bytes, Double, Duration, Dyn, Int, String, Timestamp, Uint};
    let mut all = Vec::new();
    let mut add = |name, form, takes: &[Type], gives: Type, function| {
        all.push(Overload { name, form, takes: takes.to_vec(), gives, function });
    };
    let list = Type::list(Dyn);
    let map = Type::Map(Box::new(Dyn), Box::new(Dyn));
    for sized in [String, Bytes, list, map] {
        add("size", Global, std::slice::from_ref(&sized), Int, Function::Size);
        add("size", Method, &[sized], Int, Function::Size);
    }
    for (name, function) in [
        ("contains", Function::Contains),
        ("startsWith", Function::StartsWith),
        ("endsWith", Function::EndsWith),
    ] {
        add(name, Method, &[String, String], Bool, function);
    }
    for (name, function) in [
        ("lowerAscii", Function::LowerAscii),
        ("upperAscii", Function::UpperAscii),
        ("trim", Function::Trim),
    ] {
        add(name, Method, &[String], String, function);
    }
    let conversions: [(&str, &[Type], Type, Function); 8] = [
        (
            "string",
            &[String, Bool, Int, Uint, Double, Bytes, Timestamp, Duration],
            String,
            Function::ToString,
        ),
        ("int", &[Int, Uint, Double, String, Timestamp], Int, Function::ToInt),
        ("uint", &[Uint, Int, Double, String], Uint, Function::ToUint),
        ("double", &[Double, Int, Uint, String], Double, Function::ToDouble),
        ("bool", &[Bool, String], Bool, Function::ToBool),
        ("bytes", &[Bytes, String], Bytes, Function::ToBytes),
        ("timestamp", &[Timestamp, String, Int], Timestamp, Function::ToTimestamp),
        ("duration", &[Duration, String], Duration, Function::ToDuration),
    ];
    for (name, takes, gives, function) in conversions {
        for one in takes {
            add(name, Global, std::slice::from_ref(one), gives.clone(), function);
        }
    }
    add("dyn", Global, &[Dyn], Dyn, Function::ToDyn);
    for (name, part) in PARTS {
        add(name, Method, &[Timestamp], Int, Function::Part(part));
        if matches!(part, Part::Hours | Part::Minutes | Part::Seconds | Part::Milliseconds) {
            add(name, Method, &[Duration], Int, Function::Part(part));
        }
    }
    all
}
