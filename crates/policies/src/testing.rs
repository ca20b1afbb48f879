//! Requests for tests.

use std::net::IpAddr;

use portcullis_config::model::KeyPart;

use crate::Facts;

/// A request with these fields, which stand for parts of every kind.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    client: Option<IpAddr>,
    values: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Asked {
        self.values.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl From<&str> for Asked {
    fn from(ip: &str) -> Asked {
        Asked { client: Some(ip.parse().unwrap()), values: Vec::new() }
    }
}

impl Facts for Asked {
    fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn values(&self, part: &KeyPart, each: &mut dyn FnMut(&[u8])) {
        match part {
            KeyPart::Header(name) | KeyPart::Query(name) | KeyPart::Cookie(name) => {
                self.header(name, each);
            }
            _ => {}
        }
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        for (_, value) in self.values.iter().filter(|(found, _)| found == name) {
            each(value.as_bytes());
        }
    }
}
