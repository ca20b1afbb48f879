//! Starts each server with the same paths to offer. See `scripts` for what they answer.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_testkit::{Authority, Config, Gateway, Origin, TempDir, eventually, until};

use super::programs::{packages, program, python_with, script};
use portcullis_testkit::process::{Process, run};

/// What small replies contain.
pub(super) const TEXT: &str = "one two three";

/// A running server. Fields are dropped in order: the process before its directory.
#[derive(Debug)]
pub(super) struct Server {
    /// Its host and port.
    pub(super) address: String,
    process: Process,
    /// What a service says to reach it: its protocol, its TLS.
    service: String,
    /// Where all its files are.
    pub(super) dir: TempDir,
    #[expect(dead_code, reason = "it serves what the server cannot")]
    behind: Option<Origin>,
}

impl Server {
    fn new(port: u16, process: Process, dir: TempDir) -> Server {
        let (address, service) = (format!("127.0.0.1:{port}"), String::new());
        Server { address, process, service, dir, behind: None }
    }

    /// The same server, of which a service says this.
    fn with(self, service: &str) -> Server {
        Server { service: service.to_owned(), ..self }
    }

    /// A gateway before it.
    pub(super) fn gateway(&self) -> Gateway {
        Gateway::start(&Config::before_address(&self.address).service(&self.service))
    }

    /// A gateway before it that has a listener `secure` as well, for `localhost`, and answers two
    /// paths with redirects of its own.
    pub(super) fn secure_gateway(&self) -> Gateway {
        let authority = Authority::new();
        self.dir.write("ca.pem", authority.pem());
        let (cert, key) = authority.issue(&["localhost"]).write(&self.dir, "localhost");
        let (address, service) = (&self.address, &self.service);
        Gateway::start(&format!(
            r#"
listeners:
  web: {{ address: "127.0.0.1:0" }}
  secure:
    address: "127.0.0.1:0"
    tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}], require_sni: true }}
services:
  origin: {{ endpoints: [{address:?}], {service} }}
routes:
  all: {{ service: origin }}
  moved: {{ match: {{ path: /moved }}, redirect: {{ to: /length }} }}
  moved-upload: {{ match: {{ path: /moved-upload }}, redirect: {{ to: /upload }} }}
"#
        ))
    }

    /// The certificate that clients of a secure gateway must know.
    pub(super) fn ca(&self) -> PathBuf {
        self.dir.join("ca.pem")
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The file behind `/big`.
    pub(super) fn big(&self) -> PathBuf {
        self.dir.join("web/big")
    }

    /// The file that nginx makes of an upload.
    pub(super) fn stored(&self) -> PathBuf {
        self.dir.join("web/upload")
    }

    /// Whether the endless content of Node has been given up since this was asked last.
    pub(super) fn endless_is_closed(&self) -> bool {
        fs::remove_file(self.dir.join("endless-closed")).is_ok()
    }

    /// Lets `/slow` and `/hints` go on behind this part.
    pub(super) fn go_on(&self, part: usize) {
        self.dir.write(&format!("go-{part}"), "");
    }
}

/// Node's own server.
pub(super) fn node_server() -> Option<Server> {
    start_node(offered(), &[])
}

/// Node's own server of HTTP/2 without TLS.
pub(super) fn node_http2() -> Option<Server> {
    Some(start_node(offered(), &["http2"])?.with("protocol: http2"))
}

/// Node's own server of both versions within TLS.
pub(super) fn node_secure() -> Option<Server> {
    let dir = offered();
    let tls = certified(&dir);
    Some(start_node(dir, &["secure"])?.with(&format!("protocol: auto, {tls}")))
}

fn start_node(dir: TempDir, kind: &[&str]) -> Option<Server> {
    let node = program("node")?;
    let mut command = Command::new(node);
    command.arg(script("origin.mjs")).arg(dir.path()).arg(packages()).args(kind);
    let process = Process::start(&command, dir.path());
    let port = process.number_behind("listening on port ");
    Some(Server::new(port, process, dir))
}

/// Writes a certificate for a server, and gives what a service must say of it.
fn certified(dir: &TempDir) -> String {
    let authority = Authority::new();
    let ca = dir.write("origin-ca.pem", authority.pem());
    authority.issue(&["localhost"]).write(dir, "origin");
    format!("tls: {{ ca: {ca:?}, server_name: localhost }}")
}

/// uvicorn with a raw ASGI application.
pub(super) fn uvicorn() -> Option<Server> {
    let python = python_with("uvicorn")?;
    let dir = offered();
    let mut command = Command::new(python);
    command
        .args(["-m", "uvicorn", "origin_asgi:app", "--port", "0", "--timeout-keep-alive", "60"])
        .args(["--timeout-graceful-shutdown", "1", "--ws-max-size", "33554432", "--app-dir"])
        .arg(script(""));
    let process = Process::start(in_python(&mut command, &dir), dir.path());
    let port = process.number_behind("running on http://127.0.0.1:");
    Some(Server::new(port, process, dir))
}

/// gunicorn with threads, whose connections last.
pub(super) fn gunicorn() -> Option<Server> {
    start_gunicorn(&["--worker-class", "gthread", "--threads", "4", "--keep-alive", "60"])
}

/// gunicorn as it is by default: it closes every connection behind its reply.
pub(super) fn gunicorn_sync() -> Option<Server> {
    start_gunicorn(&["--workers", "2"])
}

fn start_gunicorn(arguments: &[&str]) -> Option<Server> {
    let python = python_with("gunicorn")?;
    let dir = offered();
    let mut command = Command::new(python);
    command
        .args(["-m", "gunicorn", "origin_wsgi:app", "--bind", "127.0.0.1:0"])
        .args(["--graceful-timeout", "1", "--no-control-socket", "--pythonpath"])
        .arg(script(""))
        .args(arguments);
    let process = Process::start(in_python(&mut command, &dir), dir.path());
    let port = process.number_behind("Listening at: http://127.0.0.1:");
    Some(Server::new(port, process, dir))
}

/// nginx with files; `/slow` comes through it from an origin of the kit.
pub(super) fn nginx() -> Option<Server> {
    start_nginx(offered(), "")
}

/// The same over HTTP/2 without TLS.
pub(super) fn nginx_http2() -> Option<Server> {
    Some(start_nginx(offered(), "http2")?.with("protocol: http2"))
}

/// The same over HTTP/2 within TLS.
pub(super) fn nginx_secure() -> Option<Server> {
    let dir = offered();
    let tls = certified(&dir);
    Some(start_nginx(dir, "ssl http2")?.with(&format!("protocol: http2, {tls}")))
}

fn start_nginx(dir: TempDir, listen: &str) -> Option<Server> {
    let nginx = program("nginx")?;
    let marks = dir.path().to_owned();
    let behind = Origin::with(move |served| {
        while served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for part in 0..3 {
                served.send(format!("7\r\npart {part}\n\r\n"));
                assert!(eventually(|| marks.join(format!("go-{part}")).exists()));
            }
            served.send("0\r\n\r\n");
        }
    });
    let upstream = behind.address();
    let certificate = "ssl_certificate @DIR@/origin.crt; ssl_certificate_key @DIR@/origin.key;";
    let certificate = if listen.contains("ssl") { certificate } else { "" };
    let replaced =
        [("@LISTEN@", listen), ("@CERTIFICATE@", certificate), ("@UPSTREAM@", &upstream)];
    let server = configured(dir, "nginx.conf", &replaced, |config| {
        let mut command = Command::new(&nginx);
        command.arg("-c").arg(config);
        command
    });
    Some(Server { behind: Some(behind), ..server })
}

/// nghttp2's server with files; it gives back what is uploaded, and every reply has a trailer.
pub(super) fn nghttpd() -> Option<Server> {
    let nghttpd = program("nghttpd")?;
    let server = on_a_free_port(offered(), |dir, port| {
        let mut command = Command::new(&nghttpd);
        command.args(["--no-tls", "--address=127.0.0.1", "--echo-upload", "--trailer=x-sum: 13"]);
        command.arg("--htdocs").arg(dir.join("web")).arg(port.to_string());
        (Process::start(&command, dir.path()), None)
    });
    Some(server.with("protocol: http2"))
}

/// Apache httpd with files and CGI.
pub(super) fn apache() -> Option<Server> {
    let apache = program("apache2")?;
    let dir = offered();
    fs::create_dir(dir.join("cgi")).unwrap();
    let cgi = dir.write("cgi/origin", fs::read(script("cgi.sh")).unwrap());
    fs::set_permissions(cgi, fs::Permissions::from_mode(0o755)).unwrap();
    Some(configured(dir, "apache.conf", &[], |config| {
        let mut command = Command::new(&apache);
        command.arg("-DFOREGROUND").arg("-f").arg(config);
        command
    }))
}

/// Starts a server that has its port in a configuration.
pub(super) fn configured(
    dir: TempDir,
    template: &str,
    replaced: &[(&str, &str)],
    command: impl Fn(&Path) -> Command,
) -> Server {
    let template = fs::read_to_string(script(template)).unwrap();
    let template = replaced.iter().fold(template, |text, (mark, value)| text.replace(mark, value));
    let template = template.replace("@DIR@", dir.path().to_str().unwrap());
    on_a_free_port(dir, |dir, port| {
        let config = dir.write("server.conf", template.replace("@PORT@", &port.to_string()));
        // The file with its process id comes behind the listening socket.
        (Process::start(&command(&config), dir.path()), Some(dir.join("server.pid")))
    })
}

/// Starts a server that wants to be told its port, and may write a file when it listens. Should
/// another process be quicker to take the port, the server ends, and the next one is tried.
fn on_a_free_port(
    dir: TempDir,
    start: impl Fn(&TempDir, u16) -> (Process, Option<PathBuf>),
) -> Server {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (mut process, pid) = start(&dir, port);
        let is_there = |pid: &PathBuf| fs::metadata(pid).is_ok_and(|pid| pid.len() > 0);
        let serves = until(|| {
            let listens = pid.as_ref().is_none_or(is_there)
                && TcpStream::connect(("127.0.0.1", port)).is_ok();
            (listens || process.has_ended()).then_some(listens)
        });
        if serves == Some(true) {
            return Server::new(port, process, dir);
        }
    }
    panic!("no port for the server");
}

fn in_python<'a>(command: &'a mut Command, dir: &TempDir) -> &'a mut Command {
    command.env("ORIGIN_DIR", dir.path()).env("PYTHONDONTWRITEBYTECODE", "1")
}

/// A directory with the files that servers offer: `length` with a text, `chunked` and `close` with
/// one that nginx changes on its way, and `big`.
fn offered() -> TempDir {
    let dir = TempDir::new();
    fs::create_dir(dir.join("web")).unwrap();
    dir.write("web/length", TEXT);
    dir.write("web/chunked", "one TWO three");
    dir.write("web/close", "one TWO three");
    dir.write("web/big", noise(20 * 1024 * 1024));
    dir
}

/// Bytes without a pattern, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn sha256(file: &Path) -> String {
    let line = run(Path::new("sha256sum"), &[file], &[]);
    line.split(' ').next().unwrap_or_default().to_owned()
}
