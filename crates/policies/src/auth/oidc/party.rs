//! What answers on the paths of logins (the relying party, as OpenID Connect calls it): it sends
//! browsers to log in, takes them back, and logs them out.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_config::model;
use portcullis_core::LoginEvent;
use portcullis_wire::RequestHead;

use super::address::{self, Parameters, Query, cookie_lines};
use super::cookies::{Cookies, MOST_PARTS, Shown, pairs};
use super::finding::{store_key, unix_now};
use super::flights::Logins;
use super::live::{Live, Place};
use super::login::{Login, draw};
use super::provider::Provider;
use super::seal::Seals;
use super::session::{NAME, Session};
use crate::auth::Around;
use crate::issuers::Issuer;
use crate::shared::{SessionCall, Store};

/// Most logins that one browser has on their way: every tab has one, and every one a cookie.
const MOST_LOGINS: usize = 8;
/// How long a browser may take to come back from logging out with the provider, in seconds.
const LOGOUT: u64 = 600;

/// What answers on the paths of one policy's logins.
#[derive(Debug)]
pub struct RelyingParty {
    /// As configured.
    pub(super) written: Arc<model::Oidc>,
    pub(super) issuer: Arc<Issuer>,
    pub(super) provider: Provider,
    pub(super) seals: Seals,
    pub(super) cookies: Cookies,
    pub(super) store: Option<Arc<Store>>,
    pub(super) logins: Arc<Logins>,
    pub(super) place: Place,
    /// What sessions and logins are sealed for.
    pub(super) session_purpose: Box<[u8]>,
    login_purpose: Box<[u8]>,
}

/// Where a browser is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The address, for `Location`.
    pub location: String,
    /// Values of `Set-Cookie`.
    pub cookies: Vec<String>,
}

/// Why a browser is not sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginFault {
    /// The login cannot be completed: what came back does not fit, or the provider refuses it. For
    /// the log alone; and cookies that are of no more use.
    Failed(String, Vec<String>),
    /// It would have to go over plain HTTP.
    Insecure,
    /// A page of another site asks for it.
    CrossSite,
    /// The method is none of these.
    Method(&'static str),
    /// Nobody can tell now.
    Unavailable(String),
}

impl RelyingParty {
    pub(super) fn new(written: &Arc<model::Oidc>, around: &Around<'_>) -> RelyingParty {
        let issuer = around.issuers.find_or_stranger(&written.issuer);
        let purpose = |what: &str| {
            let text = format!("portcullis {what} 1\n{}\n{}", written.issuer, written.client.id);
            text.into_bytes().into()
        };
        RelyingParty {
            provider: Provider::new(written, &issuer),
            issuer,
            seals: Seals::new(&written.session.secrets),
            cookies: Cookies::new(written),
            store: written.session.store.as_ref().and_then(|name| around.stores.find(name)),
            logins: Arc::clone(around.logins),
            place: Place::new(),
            session_purpose: purpose("session"),
            login_purpose: purpose("login"),
            written: Arc::clone(written),
        }
    }

    /// As configured.
    #[must_use]
    pub fn written(&self) -> &Arc<model::Oidc> {
        &self.written
    }

    /// Whether a cookie is one of its own.
    #[must_use]
    pub fn owns_cookie(&self, name: &[u8]) -> bool {
        self.cookies.are(name)
    }

    /// What the names of its cookies begin with.
    #[must_use]
    pub fn cookie_base(&self) -> &str {
        self.cookies.base()
    }

    /// Sends a browser to log in. `secure` says that it speaks TLS.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn begin(&self, request: &RequestHead, secure: bool) -> Result<Redirect, LoginFault> {
        let origin = self.origin(request, secure)?;
        let endpoint = self.provider.authorization_endpoint().map_err(LoginFault::Unavailable)?;
        let now = unix_now();
        let random = || LoginFault::Unavailable("no randomness".into());
        let login = Login::begin(now, origin, address::back(request)).ok_or_else(random)?;
        let sealed = self.seals.seal(&self.login_purpose, &login.write()).ok_or_else(random)?;
        let mut cookies = self.crowded_out(request, now);
        let age = self.written.login_timeout.as_secs();
        cookies.push(self.cookies.line(&self.cookies.login(&login.state()), &sealed, Some(age)));
        let mut query = Query::of(&endpoint)
            .with("response_type", "code")
            .with("client_id", &self.written.client.id)
            .with("redirect_uri", &self.callback_address(&login.origin))
            .with("scope", &self.written.scopes)
            .with("state", &login.state())
            .with("nonce", &login.nonce())
            .with("code_challenge", &login.code_challenge())
            .with("code_challenge_method", "S256");
        for (name, value) in &self.written.parameters {
            query = query.with(name, value);
        }
        self.logins.counts.add(LoginEvent::Begun);
        Ok(Redirect { location: query.end(), cookies })
    }

    /// The login that an answer ends, if a browser brings the cookie of one of this policy's.
    fn login(&self, request: &RequestHead, state: &str) -> Option<Login> {
        let name = self.cookies.login(state);
        let mut values = cookie_lines(request).flat_map(pairs);
        let logins = values.by_ref().filter(|(found, _)| *found == name.as_bytes());
        let mut logins = logins.take(MOST_LOGINS).filter_map(|(_, value)| self.open_login(value));
        logins.find(|login| login.has_state(state))
    }

    fn open_login(&self, value: &[u8]) -> Option<Login> {
        Login::read(&self.seals.open(&self.login_purpose, value)?.plain)
    }

    /// Ends cookies of logins that are of no use, and the oldest ones where there are too many.
    fn crowded_out(&self, request: &RequestHead, now: u64) -> Vec<String> {
        let mut logins: Vec<(u64, &[u8])> = Vec::new();
        for (name, value) in cookie_lines(request).flat_map(pairs) {
            if self.cookies.is_login(name) && logins.len() < 4 * MOST_LOGINS {
                logins.push((self.open_login(value).map_or(0, |login| login.began), name));
            }
        }
        logins.sort_unstable();
        let oldest = now.saturating_sub(self.written.login_timeout.as_secs());
        let many = (logins.len() + 1).saturating_sub(MOST_LOGINS);
        let gone =
            logins.iter().enumerate().filter(|(at, (began, _))| *at < many || *began < oldest);
        let names = gone.filter_map(|(_, (_, name))| std::str::from_utf8(name).ok());
        names.map(|name| self.cookies.end(name)).collect()
    }

    /// Whether an answer of the provider's is for this policy.
    #[must_use]
    pub fn takes(&self, request: &RequestHead) -> bool {
        let parameters = Parameters::read(request.query());
        let state = parameters.and_then(|parameters| parameters.state);
        state.is_some_and(|state| self.login(request, &state).is_some())
    }

    /// Takes a browser back: its code becomes a session.
    ///
    /// # Errors
    /// There is no session.
    pub async fn complete(
        self: &Arc<Self>,
        request: &RequestHead,
        secure: bool,
    ) -> Result<Redirect, LoginFault> {
        let completed = self.completed(request, secure).await;
        self.logins.counts.add(match &completed {
            Ok(_) => LoginEvent::Completed,
            Err(_) => LoginEvent::Failed,
        });
        completed
    }

    async fn completed(
        self: &Arc<Self>,
        request: &RequestHead,
        secure: bool,
    ) -> Result<Redirect, LoginFault> {
        if request.method() != b"GET" {
            return Err(LoginFault::Method("GET"));
        }
        let origin = self.origin(request, secure)?;
        let bad = |why: &str| LoginFault::Failed(why.to_owned(), Vec::new());
        let parameters = Parameters::read(request.query());
        let parameters = parameters.ok_or_else(|| bad("the answer cannot be read"))?;
        let state = parameters.state.as_deref().ok_or_else(|| bad("no state"))?;
        let login = self.login(request, state);
        let login = login.ok_or_else(|| bad("this browser has begun no such login"))?;
        // Whatever comes of it: it does not come twice.
        let mut cookies = vec![self.cookies.end(&self.cookies.login(state))];
        let failed = |why: &str| LoginFault::Failed(why.to_owned(), cookies.clone());
        let now = unix_now();
        if now.saturating_sub(login.began) >= self.written.login_timeout.as_secs() {
            return Err(failed("the login took too long"));
        }
        if login.origin != origin || !address::is_local(&login.back) {
            return Err(failed("the login began elsewhere"));
        }
        self.check_sender(parameters.iss.as_deref()).map_err(failed)?;
        if let Some(error) = &parameters.error {
            let plain = |char: &char| char.is_ascii_alphanumeric() || *char == '_';
            let error: String = error.chars().filter(plain).take(64).collect();
            return Err(failed(&format!("the provider says {error}")));
        }
        let code = parameters.code.as_deref().filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| failed("no code"))?;
        let back = self.callback_address(&origin);
        let session = self.redeem(code, &login, &back, now).await.map_err(|lost| match lost {
            super::provider::Refusal::Refused(why) => failed(&why),
            super::provider::Refusal::Unavailable(why) => LoginFault::Unavailable(why),
        })?;
        self.start(request, &session, &mut cookies).await?;
        Ok(Redirect { location: login.back, cookies })
    }

    /// Who answers must be who was asked (RFC 9207), where that is said.
    fn check_sender(&self, said: Option<&str>) -> Result<(), &'static str> {
        let view = self.issuer.view();
        match said {
            Some(said) if said != &*view.spec.issuer => Err("another provider answers"),
            None if self.provider.names_itself() => Err("the provider does not name itself"),
            _ => Ok(()),
        }
    }

    /// Begins a session in the browser, and ends the one that it had.
    async fn start(
        &self,
        request: &RequestHead,
        session: &Session,
        cookies: &mut Vec<String>,
    ) -> Result<(), LoginFault> {
        let had = self.cookies.count(cookie_lines(request));
        let Some(store) = &self.store else {
            if self.issue(session, had, cookies) {
                return Ok(());
            }
            let why = format!("a session does not fit into {MOST_PARTS} cookies: use a store");
            return Err(LoginFault::Unavailable(why));
        };
        let silent = || LoginFault::Unavailable("the store of sessions does not answer".into());
        let mut name = [0; 32];
        rand::fill(&mut name).map_err(|_| silent())?;
        let name = URL_SAFE_NO_PAD.encode(name);
        let sealed = self.seal(session).ok_or_else(silent)?;
        let key = store_key(name.as_bytes()).ok_or_else(silent)?;
        let call = SessionCall::Begin(&sealed, self.written.session.idle);
        store.session(key, call).await.map_err(|_| silent())?;
        if let Shown::Value(old) = self.cookies.shown(cookie_lines(request))
            && let Some(old) = store_key(&old)
        {
            let _ = store.session(old, SessionCall::End).await;
        }
        self.cookies.set(&name, had, cookies);
        Ok(())
    }

    /// Whether a request shows a session of this policy's, or comes back from logging out of one.
    #[must_use]
    pub fn may_log_out(&self, request: &RequestHead) -> bool {
        let shown = self.cookies.shown(cookie_lines(request));
        shown != Shown::Nothing || self.comes_back(request)
    }

    /// Whether a browser comes back from logging out with the provider.
    fn comes_back(&self, request: &RequestHead) -> bool {
        let state = Parameters::read(request.query()).and_then(|parameters| parameters.state);
        let Some(state) = state.filter(|_| request.method() == b"GET") else { return false };
        let name = self.cookies.logout();
        cookie_lines(request).flat_map(pairs).any(|(found, value)| {
            found == name.as_bytes() && verify_slices_are_equal(value, state.as_bytes()).is_ok()
        })
    }

    /// Logs a user out: here, and then with the provider.
    ///
    /// # Errors
    /// The request is not the user's own, or the session cannot be ended now.
    pub async fn log_out(
        &self,
        request: &RequestHead,
        secure: bool,
    ) -> Result<Redirect, LoginFault> {
        if !matches!(request.method(), b"GET" | b"POST") {
            return Err(LoginFault::Method("GET, POST"));
        }
        let then = self.written.logout.then.to_string();
        if self.comes_back(request) {
            let cookies = vec![self.cookies.end(&self.cookies.logout())];
            return Ok(Redirect { location: then, cookies });
        }
        let origin = self.origin(request, secure)?;
        if !address::is_own(request, &origin) {
            return Err(LoginFault::CrossSite);
        }
        let mut cookies = Vec::new();
        self.cookies.unset(0..self.cookies.count(cookie_lines(request)), &mut cookies);
        let Some(live) = self.end(request).await? else {
            return Ok(Redirect { location: then, cookies });
        };
        self.logins.counts.add(LoginEvent::LoggedOut);
        let endpoint = self.provider.end_session_endpoint();
        let Some(endpoint) = endpoint.filter(|_| self.written.logout.end_session) else {
            return Ok(Redirect { location: then, cookies });
        };
        let state = draw().ok_or_else(|| LoginFault::Unavailable("no randomness".into()))?;
        cookies.push(self.cookies.line(&self.cookies.logout(), &state, Some(LOGOUT)));
        let query = Query::of(&endpoint)
            .with("id_token_hint", &live.session.id_token)
            .with("client_id", &self.written.client.id)
            .with("post_logout_redirect_uri", &format!("{origin}{}", self.written.logout.path))
            .with("state", &state);
        Ok(Redirect { location: query.end(), cookies })
    }

    /// Ends the session that a request shows, wherever it is kept.
    async fn end(&self, request: &RequestHead) -> Result<Option<Arc<Live>>, LoginFault> {
        let Shown::Value(value) = self.cookies.shown(cookie_lines(request)) else {
            return Ok(None);
        };
        let Some(store) = &self.store else { return Ok(self.open(&value).ok()) };
        let Some(key) = store_key(&value) else { return Ok(None) };
        // Nobody is told to be logged out who is not.
        let ended = store.session(key, SessionCall::End).await;
        let ended = ended
            .map_err(|_| LoginFault::Unavailable("the store of sessions does not answer".into()))?;
        Ok(ended.and_then(|found| self.open(&found.content).ok()))
    }

    /// Scheme and host that the browser sees.
    fn origin(&self, request: &RequestHead, secure: bool) -> Result<String, LoginFault> {
        if !secure && !self.written.plain_http {
            return Err(LoginFault::Insecure);
        }
        if let Some(origin) = &self.written.origin {
            return Ok(origin.to_string());
        }
        let origin = address::origin(request.authority(), secure);
        origin.ok_or_else(|| LoginFault::Failed("no host to come back to".into(), Vec::new()))
    }

    fn callback_address(&self, origin: &str) -> String {
        format!("{origin}{}", self.written.callback)
    }

    /// A new session.
    pub(super) fn fresh(now: u64) -> Option<Session> {
        let mut session = Session::default();
        let mut name = [0; NAME];
        rand::fill(&mut name).ok()?;
        (session.name, session.began, session.seen) = (name, now, now);
        Some(session)
    }
}
