//! Everything that a call can be.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Request, Status};

use crate::client::{Chat, Client, unary};
use crate::{FAILURE, Raw, details};

const ECHO: &str = "/peers.Echo/Unary";

impl Client {
    pub(crate) async fn tour(&mut self, key: &str) {
        for size in [0, 1 << 10, 1 << 20] {
            self.kinds(size).await;
        }
        self.large().await;
        self.metadata().await;
        self.failures().await;
        self.compressed().await;
        self.ended(key).await;
        self.many().await;
    }

    async fn echoed(&mut self, message: Vec<u8>) {
        let reply = unary(&mut self.calls, ECHO, Request::new(message.clone())).await;
        assert!(reply.unwrap().into_inner() == message, "another message");
    }

    /// Makes each kind of call with messages of this size.
    async fn kinds(&mut self, size: usize) {
        let message = noise(size);
        self.echoed(message.clone()).await;

        let messages = Request::new(tokio_stream::iter(vec![message.clone(); 3]));
        self.calls.ready().await.unwrap();
        let path = "/peers.Echo/Gather".parse().unwrap();
        let reply = self.calls.client_streaming(messages, path, Raw).await.unwrap();
        assert_eq!(reply.into_inner(), format!("3 {}", 3 * size).as_bytes());

        let mut spread = self.open("Spread", &format!("3 {size}")).await;
        for _ in 0..3 {
            assert!(spread.message().await.unwrap() == Some(vec![b's'; size]), "another spread");
        }
        assert_eq!(spread.message().await.unwrap(), None);

        let mut chat = Chat::open(&mut self.calls, message.clone()).await.unwrap();
        for _ in 0..2 {
            chat.exchange(message.clone()).await.unwrap();
        }
        chat.finish().await.unwrap();
    }

    /// One message of 16 MiB, and so much in parts, of which none is taken at first.
    async fn large(&mut self) {
        let chat = Chat::open(&mut self.calls, noise(16 << 20)).await.unwrap();
        let Chat { sent, mut received } = chat;
        let part = noise(1 << 20);
        let sending = tokio::spawn({
            let part = part.clone();
            async move {
                for _ in 0..16 {
                    sent.send(part.clone()).await.unwrap();
                }
            }
        });
        sleep(Duration::from_millis(300)).await;
        for _ in 0..16 {
            assert!(received.message().await.unwrap().as_ref() == Some(&part), "another part");
        }
        sending.await.unwrap();
        assert_eq!(received.message().await.unwrap(), None);
    }

    async fn metadata(&mut self) {
        let every: Vec<u8> = (0..=255).collect();
        let mut request = Request::new(Vec::new());
        for text in ["one, two", "three"] {
            request.metadata_mut().append("x-text", text.parse().unwrap());
        }
        for bytes in [&every[..], &[0]] {
            request.metadata_mut().append_bin("x-data-bin", MetadataValue::from_bytes(bytes));
        }
        self.calls.ready().await.unwrap();
        let path = ECHO.parse().unwrap();
        let reply = self.calls.server_streaming(request, path, Raw).await.unwrap();
        holds(reply.metadata(), "x-", &every);
        let mut messages = reply.into_inner();
        assert_eq!(messages.message().await.unwrap(), Some(Vec::new()));
        holds(&messages.trailers().await.unwrap().unwrap(), "t-", &every);
    }

    async fn failures(&mut self) {
        for count in 0..3 {
            let failed = self.failure(count).await;
            assert_eq!((failed.code(), failed.message()), (Code::FailedPrecondition, FAILURE));
            assert_eq!(failed.details(), details());
        }
        let nothing = unary(&mut self.calls, "/peers.Echo/Nothing", Request::new(vec![])).await;
        assert_eq!(nothing.unwrap_err().code(), Code::Unimplemented);
    }

    async fn failure(&mut self, count: usize) -> Status {
        let mut call = match self.try_open("Fail", &count.to_string()).await {
            Ok(call) => call,
            Err(failed) => return failed,
        };
        for _ in 0..count {
            assert!(call.message().await.unwrap().is_some());
        }
        call.message().await.unwrap_err()
    }

    async fn compressed(&mut self) {
        let before = self.calls.clone();
        self.calls = before.clone().send_compressed(Gzip).accept_compressed(Gzip);
        let easy = b"easy ".repeat(1 << 18);
        self.echoed(easy.clone()).await;
        self.echoed(noise(100_000)).await;
        let mut chat = Chat::open(&mut self.calls, easy).await.unwrap();
        chat.exchange(Vec::new()).await.unwrap();
        chat.finish().await.unwrap();
        self.calls = before;
    }

    /// Two calls that end before the server ends them.
    async fn ended(&mut self, key: &str) {
        let mut request = Request::new(format!("{key}-deadline").into_bytes());
        request.set_timeout(Duration::from_millis(500));
        self.calls.ready().await.unwrap();
        let path = "/peers.Echo/Wait".parse().unwrap();
        let reply = self.calls.server_streaming(request, path, Raw).await.unwrap();
        let mut late = reply.into_inner();
        assert!(late.message().await.unwrap().is_some());
        // The channel watches for the deadline only until there is a reply.
        if let Ok(end) = timeout(Duration::from_millis(500), late.message()).await {
            // The server knows it too, and grpc-go's may just reset the call.
            let code = end.unwrap_err().code();
            assert!(matches!(code, Code::DeadlineExceeded | Code::Cancelled), "{code:?}");
        }
        drop(late);

        let mut call = self.open("Wait", &format!("{key}-cancel")).await;
        assert!(call.message().await.unwrap().is_some());
    }

    /// A hundred streams open at once, and then a thousand unary calls.
    async fn many(&mut self) {
        let mut chats = Vec::new();
        for size in 0..100 {
            chats.push(Chat::open(&mut self.calls, noise(size)).await.unwrap());
        }
        for (size, chat) in chats.iter_mut().enumerate() {
            chat.exchange(noise(size)).await.unwrap();
        }
        for chat in chats {
            chat.finish().await.unwrap();
        }

        let mut calls = JoinSet::new();
        for size in 0..1000 {
            let mut channel = self.calls.clone();
            calls.spawn(async move {
                let reply = unary(&mut channel, ECHO, Request::new(noise(size))).await;
                assert!(reply.unwrap().into_inner() == noise(size), "another message");
            });
        }
        calls.join_all().await;
    }
}

fn holds(metadata: &MetadataMap, prefix: &str, every: &[u8]) {
    let texts = metadata.get_all(format!("{prefix}text"));
    let texts: Vec<&str> = texts.iter().map(|text| text.to_str().unwrap()).collect();
    // Values may be joined on their way.
    assert_eq!(texts.join(", "), "one, two, three");
    let data = metadata.get_all_bin(format!("{prefix}data-bin"));
    let data: Vec<Vec<u8>> = data.iter().map(|data| data.to_bytes().unwrap().to_vec()).collect();
    assert_eq!(data, [every, &[0]]);
}

fn noise(size: usize) -> Vec<u8> {
    let mut state = size as u32 + 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}
