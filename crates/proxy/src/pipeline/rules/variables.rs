//! What expressions may name of a request, each made only when one really asks for it.

use std::rc::Rc;

use jiff::Timestamp;
use portcullis_cel::{List, Map, Source, Value};
use portcullis_config::model::{Name, Variable};
use portcullis_policies::Identity;
use portcullis_wire::BodyLength;

use super::claims::{Claims, None as NoClaims};
use super::maps::{Cookies, Headers, Metadata, Params, Query};
use crate::pipeline::host_of;
use crate::pipeline::policies::Asked;

/// The variables of a request.
#[derive(Clone, Copy)]
pub(crate) struct Variables<'a> {
    pub(crate) asked: &'a Asked<'a>,
    pub(crate) identity: &'a Identity,
    /// The client speaks TLS.
    pub(crate) secure: bool,
}

impl<'a> Source<'a> for Variables<'a> {
    fn variable(&self, place: usize) -> Result<Value<'a>, &'static str> {
        let Variables { asked, identity, secure } = *self;
        let request = asked.request;
        let variable = Variable::ALL.get(place).ok_or("there is no such variable")?;
        let consumer = identity.consumer.as_deref();
        Ok(match variable {
            Variable::Method => text(request.method())?,
            Variable::Path => text(asked.path)?,
            Variable::QueryString => text(request.query().unwrap_or_default())?,
            Variable::Query => map(Query(request.query())),
            Variable::Headers => map(Headers(&request.fields)),
            Variable::Cookies => map(Cookies(&request.fields)),
            Variable::Params => map(Params { params: asked.params, path: asked.path }),
            Variable::Host => host(request.authority())?,
            Variable::Scheme => Value::text(if secure { "https" } else { "http" }),
            Variable::Ip => {
                let client = asked.client.ok_or("nobody knows the client's address")?;
                Value::Text(client.to_canonical().to_string().into())
            }
            Variable::Time => Value::Timestamp(Timestamp::now()),
            Variable::Size => Value::Int(match request.length {
                BodyLength::Empty => 0,
                BodyLength::Exact(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
                BodyLength::Unknown => -1,
            }),
            Variable::Listener => Value::text(asked.listener),
            Variable::Route => Value::text(asked.route.unwrap_or_default()),
            Variable::Service => Value::text(asked.service.unwrap_or_default()),
            Variable::ConsumerKnown => Value::Bool(consumer.is_some()),
            Variable::ConsumerName => Value::text(identity.consumer_name().unwrap_or_default()),
            Variable::ConsumerId => Value::text(consumer.map_or("", |consumer| consumer.id())),
            Variable::ConsumerPlan => Value::text(identity.plan().map_or("", |plan| plan)),
            Variable::ConsumerGroups => names(identity.groups()),
            Variable::ConsumerTags => names(consumer.map_or(&[], |consumer| consumer.tags())),
            Variable::ConsumerMetadata => map(Metadata(consumer)),
            Variable::AuthKind => Value::text(identity.kind.map_or("", |kind| kind.as_str())),
            Variable::AuthCredential => Value::text(&identity.credential),
            Variable::AuthScopes => {
                words(identity.granted.as_ref().map_or(&[], |granted| &granted.scopes))
            }
            Variable::AuthRoles => {
                words(identity.granted.as_ref().map_or(&[], |granted| &granted.roles))
            }
            Variable::Claims => match &identity.claims {
                Some(claims) => map(Claims(claims.root())),
                None => map(NoClaims),
            },
        })
    }
}

fn map<'a>(map: impl portcullis_cel::HostMap<'a> + 'a) -> Value<'a> {
    Value::Map(Map::Host(Rc::new(map)))
}

/// Bytes of a request as text; a field may have any.
pub(super) fn text(bytes: &[u8]) -> Result<Value<'_>, &'static str> {
    std::str::from_utf8(bytes).map(Value::text).map_err(|_| "this is no UTF-8")
}

/// A host in lower case, without port and without the dot that may end it: they name the same.
fn host(authority: &[u8]) -> Result<Value<'_>, &'static str> {
    let host = host_of(authority);
    let host = std::str::from_utf8(host.strip_suffix(b".").unwrap_or(host));
    let host = host.map_err(|_| "this is no UTF-8")?;
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(Value::Text(host.to_ascii_lowercase().into()));
    }
    Ok(Value::text(host))
}

fn names(names: &[Name]) -> Value<'_> {
    Value::List(List::Own(names.iter().map(|name| Value::text(name)).collect()))
}

fn words(words: &[Box<str>]) -> Value<'_> {
    Value::List(List::Own(words.iter().map(|word| Value::text(word)).collect()))
}
