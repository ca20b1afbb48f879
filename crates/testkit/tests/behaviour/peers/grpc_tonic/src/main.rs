//! A client and a server of tonic. Messages are bytes, so that nothing has to be generated.
//!
//! `grpc-tonic server DIR` or `grpc-tonic BASE CA SCENARIO ...`: as `../grpc_go/main.go` has it.

mod client;
mod server;
mod tour;

use std::env;

use bytes::{Buf, BufMut};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Takes messages as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

pub(crate) const LARGEST: usize = 64 << 20;
pub(crate) const FAILURE: &str = "not now: 100 % ✓";

/// A `google.rpc.Status` with a `google.protobuf.StringValue` that says "why".
pub(crate) fn details() -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let kind = field(1, b"type.googleapis.com/google.protobuf.StringValue");
    let any = [kind, field(2, &field(1, b"why"))].concat();
    [vec![1 << 3, 9], field(2, FAILURE.as_bytes()), field(3, &any)].concat()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["server", dir] => server::serve(dir).await,
        [base, ca, scenario, ref argument @ ..] => {
            let client = client::Client::new(base, ca);
            client.run(scenario, argument.first().copied().unwrap_or_default()).await;
        }
        _ => panic!("see main.rs"),
    }
}
