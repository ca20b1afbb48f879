//! Writing a head, in whatever form its version of HTTP has.

use bytes::Bytes;

use crate::h1::writing::write_field;
use crate::{Field, Fields, h2};

/// Most values that are put together are no longer.
const USUAL_VALUE: usize = 64;

/// A head being written.
#[derive(Debug)]
pub struct HeadWriter<'a>(Form<'a>);

#[derive(Debug)]
enum Form<'a> {
    /// Lines of HTTP/1.1.
    Lines(&'a mut Vec<u8>),
    /// A reply's header list.
    Reply(&'a mut h2::Reply),
    /// A request's header list.
    Call(&'a mut h2::Call),
}

impl<'a> HeadWriter<'a> {
    pub(crate) fn lines(out: &'a mut Vec<u8>) -> HeadWriter<'a> {
        HeadWriter(Form::Lines(out))
    }

    pub(crate) fn reply(reply: &'a mut h2::Reply) -> HeadWriter<'a> {
        HeadWriter(Form::Reply(reply))
    }

    pub(crate) fn call(call: &'a mut h2::Call) -> HeadWriter<'a> {
        HeadWriter(Form::Call(call))
    }

    /// Adds a field. The caller vouches that name and value are legal.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        match &mut self.0 {
            Form::Lines(out) => write_field(out, name, value),
            Form::Reply(reply) => reply.field(name, Bytes::copy_from_slice(value)),
            Form::Call(call) => call.field(name, Bytes::copy_from_slice(value)),
        }
    }

    /// Adds the fields for which `keep` says so.
    pub fn copy(&mut self, fields: &Fields, keep: impl FnMut(Field<'_>) -> bool) {
        match &mut self.0 {
            Form::Lines(out) => fields.write_to(out, keep),
            Form::Reply(reply) => reply.copy(fields, keep),
            Form::Call(call) => call.copy(fields, keep),
        }
    }

    /// Adds a field whose value is written by `value`.
    pub fn field_with(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>)) {
        if let Form::Lines(out) = &mut self.0 {
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            value(out);
            out.extend_from_slice(b"\r\n");
            return;
        }
        let mut text = Vec::with_capacity(USUAL_VALUE);
        value(&mut text);
        match &mut self.0 {
            Form::Lines(_) => {}
            Form::Reply(reply) => reply.field(name, text.into()),
            Form::Call(call) => call.field(name, text.into()),
        }
    }

    /// Ends the head.
    pub fn end(self) {
        match self.0 {
            Form::Lines(out) => out.extend_from_slice(b"\r\n"),
            Form::Reply(reply) => reply.send_head(),
            Form::Call(call) => call.send_head(),
        }
    }
}
