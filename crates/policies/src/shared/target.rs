//! How to reach a store: one server, the primary that Sentinels name, or a cluster. The crate's
//! types stay here and in `link`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portcullis_config::model::{Address, Login, Name, Servers, Store, StoreTls};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode, Value,
};

/// The longest that one server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// The longest that a call may go unanswered; who waits for it gives up long before.
const RESPONSE: Duration = Duration::from_secs(2);

/// Why a store cannot be reached as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the store `{store}` cannot be used: {why}")]
pub struct StoreError {
    /// Its name.
    pub store: Name,
    why: String,
}

impl StoreError {
    pub(crate) fn new(store: &Store, why: impl std::fmt::Display) -> StoreError {
        StoreError { store: store.name.clone(), why: why.to_string() }
    }
}

/// What connections to a store are made from. It holds passwords and is never shown.
pub(crate) enum Target {
    Single(Box<Client>),
    /// Made anew from this for every connection: it remembers nothing worth keeping.
    Sentinel(Box<dyn Fn() -> Result<SentinelClient, RedisError> + Send + Sync>, u32),
    Cluster(Box<ClusterClient>),
}

/// A connection; clones share it.
#[derive(Clone)]
pub(crate) enum Wire {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl Target {
    /// Reads what may have to be read, such as the system's authorities.
    pub(crate) fn new(store: &Store) -> Result<Target, StoreError> {
        let fault = |why: String| StoreError::new(store, why);
        let crate_fault = |e: RedisError| StoreError::new(store, e);
        let tls = store.tls.as_ref().map(certificates).transpose().map_err(fault)?;
        match &store.servers {
            Servers::Single(address) => {
                let info = info(address, &store.login, store.database, tls.is_some());
                let info = info.map_err(crate_fault)?;
                let client = match tls {
                    Some(tls) => Client::build_with_tls(info, tls),
                    None => Client::open(info),
                };
                Ok(Target::Single(Box::new(client.map_err(crate_fault)?)))
            }
            Servers::Cluster(addresses) => {
                let login = &store.login;
                let nodes = addresses.iter().map(|address| info(address, login, 0, tls.is_some()));
                let nodes = nodes.collect::<Result<Vec<_>, _>>().map_err(crate_fault)?;
                // Who asks has no time for more than one redirection.
                let mut builder = ClusterClient::builder(nodes)
                    .connection_timeout(CONNECT)
                    .response_timeout(RESPONSE)
                    .tcp_settings(tcp())
                    .retries(3)
                    .min_retry_wait(1)
                    .max_retry_wait(50);
                if let Some(tls) = tls {
                    builder = builder.certs(tls);
                }
                Ok(Target::Cluster(Box::new(builder.build().map_err(crate_fault)?)))
            }
            Servers::Sentinel { addresses, primary, login, tls: sentinels_tls } => {
                let theirs = sentinels_tls.as_ref().map(certificates).transpose().map_err(fault)?;
                let nodes = addresses.iter().map(|address| place(address, theirs.is_some()));
                let nodes: Vec<ConnectionAddr> = nodes.collect();
                let (store, primary, login) = (store.clone(), primary.clone(), login.clone());
                let count = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                let build = move || {
                    let mut builder = SentinelClientBuilder::new(
                        nodes.clone(),
                        &*primary,
                        SentinelServerType::Master,
                    )?
                    .set_client_to_redis_db(store.database.into())
                    .set_client_to_redis_tcp_settings(tcp())
                    .set_client_to_sentinel_tcp_settings(tcp());
                    if let Some(username) = &store.login.username {
                        builder = builder.set_client_to_redis_username(&**username);
                    }
                    if let Some(password) = &store.login.password {
                        builder = builder.set_client_to_redis_password(password.reveal());
                    }
                    if let Some(username) = &login.username {
                        builder = builder.set_client_to_sentinel_username(&**username);
                    }
                    if let Some(password) = &login.password {
                        builder = builder.set_client_to_sentinel_password(password.reveal());
                    }
                    if let Some(tls) = &tls {
                        builder = builder
                            .set_client_to_redis_tls_mode(TlsMode::Secure)
                            .set_client_to_redis_certificates(tls.clone());
                    }
                    if let Some(tls) = &theirs {
                        builder = builder
                            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                            .set_client_to_sentinel_certificates(tls.clone());
                    }
                    builder.build()
                };
                build().map_err(crate_fault)?;
                Ok(Target::Sentinel(Box::new(build), count))
            }
        }
    }

    /// The longest that [`Target::connect`] takes.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Target::Single(_) => 2 * CONNECT,
            Target::Sentinel(_, sentinels) => CONNECT * sentinels.saturating_add(2),
            Target::Cluster(_) => 5 * CONNECT,
        }
    }

    /// Opens a connection. Its tasks run on the current runtime.
    pub(crate) async fn connect(&self) -> Result<Wire, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(RESPONSE));
        match self {
            Target::Single(client) => {
                let connection = client.get_multiplexed_async_connection_with_config(&config);
                Ok(Wire::One(connection.await?))
            }
            Target::Sentinel(build, _) => {
                let mut client = build()?;
                Ok(Wire::One(client.get_async_connection_with_config(&config).await?))
            }
            Target::Cluster(client) => Ok(Wire::Many(client.get_async_connection().await?)),
        }
    }
}

impl Wire {
    pub(crate) async fn call(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        let answer = match self {
            Wire::One(connection) => connection.req_packed_command(command).await?,
            Wire::Many(connection) => connection.req_packed_command(command).await?,
        };
        answer.extract_error()
    }
}

fn info(
    address: &Address,
    login: &Login,
    database: u32,
    tls: bool,
) -> Result<ConnectionInfo, RedisError> {
    let mut settings = RedisConnectionInfo::default()
        .set_db(database.into())
        .set_lib_name("portcullis", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &login.username {
        settings = settings.set_username(&**username);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password.reveal());
    }
    let info = place(address, tls).into_connection_info()?;
    Ok(info.set_redis_settings(settings).set_tcp_settings(tcp()))
}

fn place(address: &Address, tls: bool) -> ConnectionAddr {
    let (host, port) = match address {
        Address::Ip(address) => (address.ip().to_string(), address.port()),
        Address::Name { host, port } => (host.to_string(), *port),
        Address::Unix(path) => return ConnectionAddr::Unix(path.clone()),
    };
    match tls {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// The files as the crate takes them. The system's authorities are read here, once, and not by
/// whichever thread connects.
fn certificates(tls: &StoreTls) -> Result<TlsCertificates, String> {
    let root_cert = match &tls.ca {
        Some(ca) => ca.content.to_vec(),
        None => system_authorities()?,
    };
    let client_tls = tls.certificate.as_ref().map(|shown| ClientTlsConfig {
        client_cert: shown.cert.content.to_vec(),
        client_key: shown.key.content.to_vec(),
    });
    Ok(TlsCertificates { client_tls, root_cert: Some(root_cert) })
}

fn system_authorities() -> Result<Vec<u8>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err("the system has no certificate authorities; set `ca`".into());
    }
    let mut pem = String::new();
    for certificate in &found.certs {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&STANDARD.encode(certificate));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    Ok(pem.into_bytes())
}
