//! The server: see `../../grpc_go/server.go` for what each method does.

use std::convert::Infallible;
use std::fs;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request as HttpRequest, Response as HttpResponse};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::{Stream, StreamExt, iter};
use tonic::body::Body;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataMap;
use tonic::server::Grpc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::{FAILURE, LARGEST, Raw, details};

type Messages = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>>;
type Answer = Result<Response<Messages>, Status>;

pub(crate) async fn serve(dir: &str) {
    let pem = |name| fs::read(format!("{dir}/server.{name}")).unwrap();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(pem("crt"), pem("key")));
    let plain = listen("plain", Server::builder());
    let secure = listen("secure", Server::builder().tls_config(tls).unwrap());
    tokio::join!(plain, secure);
}

async fn listen(name: &str, server: Server) {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let incoming = incoming.with_nodelay(Some(true));
    println!("{name} on port {}.", incoming.local_addr().unwrap().port());
    let stop = async {
        signal(SignalKind::user_defined1()).unwrap().recv().await;
        println!("stopping");
    };
    let service = tower::service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
    server.serve_with_incoming_shutdown(service, incoming, stop).await.unwrap();
}

/// Every method is served as one with two streams: on the wire there is no difference.
async fn answer(request: HttpRequest<Body>) -> HttpResponse<Body> {
    let path = request.uri().path().to_owned();
    let service = tower::service_fn(move |request: Request<Streaming<Vec<u8>>>| {
        let path = path.clone();
        async move {
            match path.strip_prefix("/peers.Echo/").unwrap_or_default() {
                "Unary" => unary(request).await,
                "Gather" => gather(request).await,
                "Spread" => spread(request).await,
                "Chat" => Ok(Response::new(Box::pin(request.into_inner()) as Messages)),
                "Fail" => fail(request).await,
                "Wait" => wait(request).await,
                _ => Err(Status::unimplemented("no such method")),
            }
        }
    });
    Grpc::new(Raw)
        .accept_compressed(Gzip)
        .send_compressed(Gzip)
        .max_decoding_message_size(LARGEST)
        .streaming(service, request)
        .await
}

fn all(messages: Vec<Result<Vec<u8>, Status>>) -> Messages {
    Box::pin(iter(messages))
}

async fn one(request: Request<Streaming<Vec<u8>>>) -> Result<Vec<u8>, Status> {
    let message = request.into_inner().message().await?;
    message.ok_or_else(|| Status::internal("no message"))
}

fn numbers(text: &[u8]) -> Vec<usize> {
    let text = String::from_utf8_lossy(text);
    text.split(' ').map(|number| number.parse().unwrap()).collect()
}

async fn unary(request: Request<Streaming<Vec<u8>>>) -> Answer {
    let (mut fields, mut trailers) = (MetadataMap::new(), MetadataMap::new());
    for value in request.metadata().get_all("x-text") {
        fields.append("x-text", value.clone());
        trailers.append("t-text", value.clone());
    }
    for value in request.metadata().get_all_bin("x-data-bin") {
        fields.append_bin("x-data-bin", value.clone());
        trailers.append_bin("t-data-bin", value.clone());
    }
    let message = one(request).await?;
    let end = Status::with_metadata(Code::Ok, "", trailers);
    let mut response = Response::new(all(vec![Ok(message), Err(end)]));
    *response.metadata_mut() = fields;
    Ok(response)
}

async fn gather(request: Request<Streaming<Vec<u8>>>) -> Answer {
    let (mut count, mut size, mut messages) = (0, 0, request.into_inner());
    while let Some(message) = messages.message().await? {
        count += 1;
        size += message.len();
    }
    Ok(Response::new(all(vec![Ok(format!("{count} {size}").into_bytes())])))
}

async fn spread(request: Request<Streaming<Vec<u8>>>) -> Answer {
    let request = numbers(&one(request).await?);
    let (count, size) = (request[0], request[1]);
    Ok(Response::new(Box::pin(iter((0..count).map(move |_| Ok(vec![b's'; size]))))))
}

async fn fail(request: Request<Streaming<Vec<u8>>>) -> Answer {
    let message = one(request).await?;
    let failure = Status::with_details(Code::FailedPrecondition, FAILURE, details().into());
    match numbers(&message)[0] {
        // Here a reply is made that has trailers alone.
        0 => Err(failure),
        count => {
            let messages = iter(vec![message; count]).map(Ok);
            Ok(Response::new(Box::pin(messages.chain(iter([Err(failure)])))))
        }
    }
}

async fn wait(request: Request<Streaming<Vec<u8>>>) -> Answer {
    let key = one(request).await?;
    let name = String::from_utf8_lossy(&key).into_owned();
    Ok(Response::new(Box::pin(Waiting { first: Some(key), name })))
}

/// One message and no end. It is dropped when the call is cancelled.
struct Waiting {
    first: Option<Vec<u8>>,
    name: String,
}

impl Stream for Waiting {
    type Item = Result<Vec<u8>, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.first.take().map_or(Poll::Pending, |first| Poll::Ready(Some(Ok(first))))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        println!("cancelled {}.", self.name);
    }
}
