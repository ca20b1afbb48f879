//! The configuration as written. These types are what the JSON Schema shows: their doc comments are
//! its descriptions, with units and defaults. [`crate::check`] gives them their meaning.

mod access;
mod authentication;
mod balance;
mod breaker;
mod browser;
mod client;
mod connection_rate;
mod ext_authz;
mod health;
mod http2;
mod identity;
mod introspection;
mod issuer;
mod listener;
mod oidc;
mod outliers;
mod policies;
mod process;
mod rego;
mod retries;
mod route;
mod service;
mod shorthand;
mod spanned;
mod store;
mod tcp_route;
mod tls;
mod traffic;
mod upstream_token;

use schemars::JsonSchema;

pub(crate) use access::{AccessSpec, CelSpec, CelText, ConditionsSpec, TimesSpec};
pub(crate) use authentication::{ApiKeySpec, BasicSpec, MethodSpec, MtlsSpec};
pub(crate) use balance::{
    AvailabilitySpec, BalanceSpec, HashAlgorithmSpec, HashPartSpec, HashSpec, SameSiteSpec,
    SlowStartSpec, StickySpec,
};
pub(crate) use breaker::BreakerSpec;
pub(crate) use browser::{
    CorsSpec, CsrfSpec, FrameSpec, HstsSpec, OriginSpec, SecurityHeadersSpec, UnknownSpec,
};
pub(crate) use client::{ClientProofSpec, ClientSpec};
pub(crate) use connection_rate::{ConnectionRateSpec, PaceSpec};
pub(crate) use ext_authz::{AuthzCacheSpec, AuthzFailureSpec, AuthzPartSpec, ExtAuthzSpec};
pub(crate) use health::{
    ActiveSpec, BodyTestSpec, GrpcCheckSpec, HealthSpec, HttpCheckSpec, InitialSpec,
};
pub(crate) use http2::Http2Spec;
pub(crate) use identity::{
    CertificateNameSpec, ConsumerSpec, CredentialsSpec, GroupSpec, GuessingSpec, KeySpec,
    PasswordSpec, PasswordsSpec, PlanSpec,
};
pub(crate) use introspection::IntrospectionSpec;
pub(crate) use issuer::{IssuerSpec, JwtSpec, RequireSpec, ScalarSpec};
pub(crate) use listener::{
    EncodedSlashSpec, ForwardedSpec, LimitsSpec, ListenerProtocolSpec, ListenerSpec,
    ListenerTimeoutsSpec, PathPolicySpec, ProxyProtocolSpec,
};
pub(crate) use oidc::{LogoutSpec, OidcSpec, SessionSpec};
pub(crate) use outliers::{LatencySpec, OutliersSpec, SuccessRateSpec};
pub(crate) use policies::{
    AlgorithmSpec, ConcurrencySpec, CostSpec, KeyPartSpec, MissingSpec, NamedPart, NetworkSpec,
    OnLimitSpec, PeriodSpec, PolicySpec, QuotaSpec, RateLimitSpec, ReplyFieldsSpec,
};
pub(crate) use process::{
    AccessLogSpec, AdminSpec, GatewayOverloadSpec, ShutdownSpec, UpgradeSpec,
};
pub(crate) use rego::RegoSpec;
pub(crate) use retries::{BackoffSpec, RetriesSpec, RetryOnSpec};
pub(crate) use route::{
    MatchSpec, PathSpec, RedirectSpec, ReplySpec, RewriteSpec, RouteSpec, RouteTimeoutsSpec,
    SplitSpec, TestSpec,
};
pub(crate) use service::{
    EndpointSpec, HostPolicySpec, PoolSpec, ProtocolSpec, ProxyVersionSpec, ServiceSpec,
    ServiceTimeoutsSpec,
};
pub(crate) use shorthand::{Entries, Limit, OffOr, OneOrMany, Share, Size, Switch, Time};
pub(crate) use spanned::Spanned;
pub(crate) use store::{
    OnFailureSpec, RedisSpec, SentinelSpec, SharingModeSpec, StoreSpec, StoreTlsSpec,
};
pub(crate) use tcp_route::TcpRouteSpec;
pub(crate) use tls::{
    CertificateSpec, ClientAuthModeSpec, ClientAuthSpec, ClientCertHeaderSpec, LeniencySpec,
    ListenerTlsSpec, ServiceTlsSpec, TlsVersionSpec,
};
pub(crate) use traffic::{
    AbortSpec, DelaySpec, FaultsSpec, ImportanceSpec, MirrorSpec, OverloadSpec, SplitBySpec,
};
pub(crate) use upstream_token::UpstreamTokenSpec;

/// Configuration of the Portcullis API gateway.
///
/// In any string, `${NAME}` takes an environment variable, `${NAME:-default}` has a default, and
/// `$${` is a plain `${`. A string that is wholly `file:PATH` takes the trimmed text of that file.
/// Relative paths start at the folder of the configuration file.
///
/// The loader decodes entry by entry, so this type is only read for its schema; a test holds its
/// keys against the loader's.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ConfigSpec {
    /// Where the gateway listens, by name. At least one.
    listeners: Entries<ListenerSpec>,
    /// The upstream services, by name.
    services: Option<Entries<ServiceSpec>>,
    /// The routes, by name.
    routes: Option<Entries<RouteSpec>>,
    /// The TCP routes, by name: where connections of listeners go that do not speak HTTP.
    tcp_routes: Option<Entries<TcpRouteSpec>>,
    /// Stores that gateways count in together, by name.
    stores: Option<Entries<StoreSpec>>,
    /// Issuers of tokens, by name.
    issuers: Option<Entries<IssuerSpec>>,
    /// Who calls, by name.
    consumers: Option<Entries<ConsumerSpec>>,
    /// Consumers that belong together, by name.
    groups: Option<Entries<GroupSpec>>,
    /// What consumers have agreed to, by name.
    plans: Option<Entries<PlanSpec>>,
    /// How credentials of consumers are kept and looked at.
    credentials: Option<CredentialsSpec>,
    /// Policies for every request, asked after those of its route and its service.
    policies: Option<Vec<PolicySpec>>,
    /// The folder for what must outlive the process, such as quotas, or `off` to keep it in memory
    /// alone. Made when something needs it. Default: `$STATE_DIRECTORY`, which service managers set,
    /// else `portcullis-state` beside the configuration.
    state: Option<OffOr<String>>,
    /// The admin listener (metrics and health). Default: on at `127.0.0.1:9901`.
    admin: Option<OffOr<AdminSpec>>,
    /// The access log. Default: to standard output.
    access_log: Option<OffOr<AccessLogSpec>>,
    /// Whether request metrics are counted. Default: true.
    metrics: Option<bool>,
    /// Worker threads; 0 is one per core. Default: 0.
    workers: Option<u16>,
    /// Where this gateway stands: endpoints in the same zone come first. Default: nowhere.
    zone: Option<String>,
    /// How the gateway ends.
    shutdown: Option<ShutdownSpec>,
    /// How the gateway gives way to a new binary.
    upgrade: Option<UpgradeSpec>,
    /// What the gateway does when it has more to do itself than it can.
    overload: Option<GatewayOverloadSpec>,
}
