//! The gateway between programs that other people wrote: clients that are not ours before it,
//! servers that are not ours behind it. Fakes show what we thought of; these show what we did not.
//!
//! `peers/install` installs them all. Where one is missing, its tests print that they are skipped
//! and pass, unless `PORTCULLIS_PEERS=required`.

mod clients;
mod curl;
mod grpc;
mod h2spec;
mod logins;
mod openssl;
mod origins;
mod programs;
mod proxies;
mod servers;
mod tokens;
mod web_sockets;
