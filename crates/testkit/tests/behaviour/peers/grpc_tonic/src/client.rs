//! The client: see `../../grpc_go/client.go` for the scenarios.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::{LARGEST, Raw};

type Calls = Grpc<Channel>;

pub(crate) struct Client {
    endpoint: Endpoint,
    pub(crate) calls: Calls,
}

fn calls(endpoint: &Endpoint) -> Calls {
    Grpc::new(endpoint.connect_lazy()).max_decoding_message_size(LARGEST)
}

impl Client {
    pub(crate) fn new(base: &str, ca: &str) -> Client {
        let mut endpoint = Endpoint::from_shared(base.to_owned()).unwrap();
        if base.starts_with("https:") {
            let ca = Certificate::from_pem(fs::read(ca).unwrap());
            let tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
            endpoint = endpoint.tls_config(tls).unwrap();
        }
        Client { calls: calls(&endpoint), endpoint }
    }

    pub(crate) async fn run(mut self, scenario: &str, argument: &str) {
        match scenario {
            "tour" => self.tour(argument).await,
            "ask" => match unary(&mut self.calls, argument, Request::new(Vec::new())).await {
                Ok(_) => println!("0 "),
                Err(failed) => println!("{} {}", failed.code() as i32, failed.message()),
            },
            "wait" => self.wait(argument).await,
            "load" => self.load(argument).await,
            "chat" => self.chat_until(argument).await,
            "ping" => self.ping().await,
            _ => panic!("{scenario}"),
        }
    }

    /// A call with one request and many replies.
    pub(crate) async fn open(&mut self, method: &str, request: &str) -> Streaming<Vec<u8>> {
        self.try_open(method, request).await.unwrap()
    }

    pub(crate) async fn try_open(
        &mut self,
        method: &str,
        request: &str,
    ) -> Result<Streaming<Vec<u8>>, Status> {
        self.calls.ready().await.unwrap();
        let path = format!("/peers.Echo/{method}").try_into().unwrap();
        let request = Request::new(request.as_bytes().to_vec());
        Ok(self.calls.server_streaming(request, path, Raw).await?.into_inner())
    }

    async fn wait(&mut self, key: &str) {
        let mut call = self.open("Wait", key).await;
        assert_eq!(call.message().await.unwrap().unwrap(), key.as_bytes());
        println!("waiting.");
        println!("ended {}.", call.message().await.unwrap_err().code() as i32);
    }

    async fn load(&mut self, stop: &str) {
        let count = Rc::new(Cell::new(0));
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let (mut calls, count, stop) = (self.calls.clone(), count.clone(), stop.to_owned());
                async move {
                    while !Path::new(&stop).exists() {
                        match timeout(Duration::from_secs(20), call(&mut calls, worker)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(failed)) => println!("failed: {failed:?}"),
                            Err(_) => println!("failed: no end"),
                        }
                        count.set(count.get() + 1);
                        if count.get() % 100 == 0 {
                            println!("calls {}.", count.get());
                        }
                    }
                }
            })
            .collect();
        let local = tokio::task::LocalSet::new();
        let workers: Vec<_> = workers.into_iter().map(|worker| local.spawn_local(worker)).collect();
        local.await;
        for worker in workers {
            worker.await.unwrap();
        }
    }

    async fn chat_until(&mut self, stop: &str) {
        let mut chat = Chat::open(&mut self.calls, b"message 0".to_vec()).await.unwrap();
        for count in 1.. {
            chat.exchange(format!("message {count}").into_bytes()).await.unwrap();
            println!("messages {count}.");
            if Path::new(stop).exists() {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
        chat.finish().await.unwrap();
    }

    async fn ping(&mut self) {
        let often = Duration::from_millis(50);
        self.endpoint = self.endpoint.clone().http2_keep_alive_interval(often);
        self.calls = calls(&self.endpoint);
        let mut chat = Chat::open(&mut self.calls, b"before".to_vec()).await.unwrap();
        sleep(Duration::from_secs(12)).await;
        chat.exchange(b"behind".to_vec()).await.unwrap();
        chat.finish().await.unwrap();
    }
}

pub(crate) async fn unary(
    calls: &mut Calls,
    path: &str,
    request: Request<Vec<u8>>,
) -> Result<Response<Vec<u8>>, Status> {
    calls.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
    calls.unary(request, path.to_owned().try_into().unwrap(), Raw).await
}

/// A unary call; every fourth worker makes a short chat.
async fn call(calls: &mut Calls, worker: usize) -> Result<(), Status> {
    let message = vec![b'm'; 1000];
    if worker % 4 != 0 {
        return unary(calls, "/peers.Echo/Unary", Request::new(message)).await.map(|_| ());
    }
    let mut chat = Chat::open(calls, message.clone()).await?;
    chat.exchange(message.clone()).await?;
    chat.exchange(message).await?;
    chat.finish().await
}

/// A call with two streams, whose first message went there and back.
pub(crate) struct Chat {
    pub(crate) sent: Sender<Vec<u8>>,
    pub(crate) received: Streaming<Vec<u8>>,
}

impl Chat {
    pub(crate) async fn open(calls: &mut Calls, first: Vec<u8>) -> Result<Chat, Status> {
        let (sent, messages) = channel(1);
        sent.send(first.clone()).await.unwrap();
        calls.ready().await.map_err(|e| Status::unknown(e.to_string()))?;
        let path = "/peers.Echo/Chat".parse().unwrap();
        let request = Request::new(ReceiverStream::new(messages));
        let mut received = calls.streaming(request, path, Raw).await?.into_inner();
        assert!(received.message().await?.as_ref() == Some(&first), "another message");
        Ok(Chat { sent, received })
    }

    pub(crate) async fn exchange(&mut self, message: Vec<u8>) -> Result<(), Status> {
        if self.sent.send(message.clone()).await.is_ok() {
            assert!(self.received.message().await? == Some(message), "another message");
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), Status> {
        drop(self.sent);
        assert_eq!(self.received.message().await?, None);
        Ok(())
    }
}
