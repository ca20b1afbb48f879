//! Where Vault is and who asks it. This stands in the environment, under the names that Vault's own
//! tools use: the configuration itself is read with it.

use std::path::PathBuf;
use std::time::Duration;

use portcullis_config::model::{StoreTls, TlsFile, Url};
use portcullis_config::quantity;
use zeroize::Zeroizing;

use crate::calls::Caller;

/// Where Kubernetes puts the token of a pod's account.
const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// How often it is looked whether secrets have changed.
const INTERVAL: Duration = Duration::from_secs(60);
/// The shortest such time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The largest file that is read for this, in bytes.
const LARGEST: u64 = 1 << 20;

/// What is needed to ask Vault.
pub(super) struct Settings {
    /// Without a slash at its end.
    pub(super) address: Box<str>,
    pub(super) namespace: Option<Box<str>>,
    pub(super) login: Login,
    pub(super) interval: Duration,
    pub(super) caller: Caller,
}

/// How a token is come by.
pub(super) enum Login {
    /// It is given.
    Token(Given),
    /// For a role and its secret.
    AppRole { mount: Box<str>, role: Box<str>, secret: Given },
    /// For the token of a pod's account.
    Kubernetes { mount: Box<str>, role: Box<str>, token: PathBuf },
}

/// A secret to begin with.
pub(super) enum Given {
    Text(Zeroizing<String>),
    /// Read each time that it is needed, for it may change.
    File(PathBuf),
}

impl Given {
    pub(super) fn read(&self) -> Result<Zeroizing<String>, String> {
        match self {
            Given::Text(text) => Ok(text.clone()),
            Given::File(path) => read(path),
        }
    }
}

/// Reads a small file.
pub(super) fn read(path: &PathBuf) -> Result<Zeroizing<String>, String> {
    let why = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let about = std::fs::metadata(path).map_err(why)?;
    if !about.is_file() || about.len() > LARGEST {
        return Err(format!("{} is no small file", path.display()));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(why)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

impl Settings {
    /// The settings that variables make.
    ///
    /// # Errors
    /// What is missing, or cannot be used.
    pub(super) fn new(variable: impl Fn(&str) -> Option<String>) -> Result<Settings, String> {
        let get = |name: &str| variable(name).filter(|text| !text.is_empty());
        let address =
            get("VAULT_ADDR").ok_or("the environment variable `VAULT_ADDR` is not set")?;
        let address: Box<str> = address.trim_end_matches('/').into();
        let url = address.parse::<Url>().map_err(|error| format!("`VAULT_ADDR`: {error}"))?;
        if url.query().is_some() {
            return Err("`VAULT_ADDR` must not have a `?`".to_owned());
        }
        let interval = match get("PORTCULLIS_VAULT_INTERVAL") {
            None => INTERVAL,
            Some(text) => quantity::duration(&text)
                .ok()
                .filter(|interval| *interval >= SHORTEST)
                .ok_or("`PORTCULLIS_VAULT_INTERVAL` is no duration of at least `1s`")?,
        };
        let ca = get("VAULT_CACERT")
            .map(PathBuf::from)
            .map(|path| read(&path).map(|text| TlsFile { content: text.as_bytes().into(), path }));
        let tls = StoreTls { ca: ca.transpose()?, certificate: None };
        Ok(Settings {
            login: login(&get)?,
            namespace: get("VAULT_NAMESPACE").map(namespace).transpose()?,
            caller: Caller::new(&tls).map_err(|error| format!("`VAULT_CACERT`: {error}"))?,
            address,
            interval,
        })
    }
}

/// A name that goes into a field.
fn namespace(text: String) -> Result<Box<str>, String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(text.into());
    }
    Err("`VAULT_NAMESPACE` is no name of a namespace".to_owned())
}

fn login(get: &impl Fn(&str) -> Option<String>) -> Result<Login, String> {
    let mount = |name: &str, default: &str| -> Result<Box<str>, String> {
        let mount = get(name).unwrap_or_else(|| default.to_owned());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        if !mount.bytes().all(plain) || mount.split('/').any(|s| s.is_empty() || s == "..") {
            return Err(format!("`{name}` is no path of an authentication method"));
        }
        Ok(mount.into())
    };
    let given = |text: &str, file: &str| {
        let text = get(text).map(|text| Given::Text(Zeroizing::new(text)));
        text.or_else(|| get(file).map(|path| Given::File(path.into())))
    };
    if let Some(token) = given("VAULT_TOKEN", "VAULT_TOKEN_FILE") {
        return Ok(Login::Token(token));
    }
    if let Some(role) = get("VAULT_ROLE_ID") {
        let secret = given("VAULT_SECRET_ID", "VAULT_SECRET_ID_FILE")
            .ok_or("`VAULT_ROLE_ID` needs `VAULT_SECRET_ID` or `VAULT_SECRET_ID_FILE`")?;
        let mount = mount("VAULT_APPROLE_MOUNT", "approle")?;
        return Ok(Login::AppRole { mount, role: role.into(), secret });
    }
    if let Some(role) = get("VAULT_KUBERNETES_ROLE") {
        let token = get("VAULT_KUBERNETES_TOKEN_FILE").unwrap_or_else(|| KUBERNETES_TOKEN.into());
        let mount = mount("VAULT_KUBERNETES_MOUNT", "kubernetes")?;
        return Ok(Login::Kubernetes { mount, role: role.into(), token: token.into() });
    }
    Err("Vault needs to know who asks: set `VAULT_TOKEN`, `VAULT_TOKEN_FILE`, `VAULT_ROLE_ID` or \
         `VAULT_KUBERNETES_ROLE`"
        .to_owned())
}
