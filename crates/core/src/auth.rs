//! What authentication goes by and what comes of it, as logs and metrics name them.

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// An API key.
    ApiKey,
    /// A name and a password (RFC 7617).
    Basic,
    /// A client's certificate.
    Mtls,
    /// A JSON Web Token (RFC 7519).
    Jwt,
    /// A token that its issuer is asked about (RFC 7662).
    Introspection,
    /// A browser's session after a login (OpenID Connect).
    Oidc,
    /// None at all.
    Anonymous,
}

impl CredentialKind {
    /// Every one, by position.
    pub const ALL: [CredentialKind; 7] = [
        CredentialKind::ApiKey,
        CredentialKind::Basic,
        CredentialKind::Mtls,
        CredentialKind::Jwt,
        CredentialKind::Introspection,
        CredentialKind::Oidc,
        CredentialKind::Anonymous,
    ];

    /// Its name as configured, in logs and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CredentialKind::ApiKey => "api_key",
            CredentialKind::Basic => "basic",
            CredentialKind::Mtls => "mtls",
            CredentialKind::Jwt => "jwt",
            CredentialKind::Introspection => "introspection",
            CredentialKind::Oidc => "oidc",
            CredentialKind::Anonymous => "anonymous",
        }
    }
}

/// What came of looking for a kind of credential in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthOutcome {
    /// It is good.
    Accepted,
    /// The request has none.
    Missing,
    /// It is not good.
    Refused,
    /// It could not be looked at, since there was too much to do or somebody did not answer.
    Failed,
}

impl AuthOutcome {
    /// Every one, by position.
    pub const ALL: [AuthOutcome; 4] =
        [AuthOutcome::Accepted, AuthOutcome::Missing, AuthOutcome::Refused, AuthOutcome::Failed];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AuthOutcome::Accepted => "accepted",
            AuthOutcome::Missing => "missing",
            AuthOutcome::Refused => "refused",
            AuthOutcome::Failed => "failed",
        }
    }
}
