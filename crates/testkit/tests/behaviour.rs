//! What the gateway does, told as stories: the real binary between raw clients and fake origins.
//!
//! Every story starts its own gateway on ports of its own, so that all of them run side by side.
#[cfg(test)]
mod behaviour {
    mod access_log;
    mod addresses;
    mod answers;
    mod attacks;
    mod authorization;
    mod balance;
    mod breaker;
    mod browsers;
    mod client_timeouts;
    mod command_line;
    mod content;
    mod drain;
    mod exchange;
    mod expect_continue;
    mod failover;
    mod forwarding;
    mod health;
    mod http2;
    mod identity;
    mod interim;
    mod l4;
    mod l4_tls;
    mod limits;
    mod login;
    mod metrics;
    mod mixed_load;
    mod mtls;
    mod outliers;
    mod peers;
    mod pool;
    mod proxy_protocol;
    mod proxy_protocol_out;
    mod rate_limits;
    mod reload;
    mod retries;
    mod routing;
    mod secrets;
    mod shared_limits;
    mod slow_peers;
    mod systemd;
    mod tls;
    mod traffic;
    mod truncation;
    mod tunnel;
    mod upgrade;
    mod upstream_http2;
    mod upstream_timeouts;
    mod upstream_tls;
    mod upstream_tokens;
    mod versions;
}
