//! What the quickstart runs with and what it tells: the configuration and the lines to try.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::demo::{AUDIENCE, CONSUMER, Demo, ISSUER, SUBJECT};
use super::ports::Reserved;
use super::sample::{INSTANCE, SLOW, Sample};

/// The configuration, as a user would write it.
pub(super) fn config(
    web: SocketAddr,
    admin: SocketAddr,
    samples: &[Sample],
    demo: &Demo,
) -> String {
    let endpoints: Vec<String> =
        samples.iter().map(|sample| format!("\"{}\"", sample.address)).collect();
    let all = endpoints.join(", ");
    let last = endpoints.last().map_or("", |last| last);
    let Demo { key_set, secret, prefix, hash, .. } = demo;
    format!(
        r#"listeners:
  web: {{ address: "{web}" }}

policies:                       # for all routes: what each client may send in a minute
  - rate_limit: {{ name: per-client, by: ip, limit: 10000, per: 1m, algorithm: sliding_window }}

issuers:                        # whose tokens are believed; this one exists only here
  demo:
    issuer: {ISSUER}
    algorithms: [ES256]
    jwks: '{key_set}'

credentials: {{ secret: {secret} }}   # made for this run; keep yours in a file

consumers:                      # of a key only its hash is kept
  {CONSUMER}:
    keys: [{{ prefix: {prefix}, hash: "{hash}" }}]

services:
  hello:                        # two instances that take turns; one can do it all
    endpoints: [{all}]
    health: {{ active: {{ path: /health, interval: 2s }} }}
  canary:                       # one of them alone
    endpoints: [{last}]

routes:
  welcome:
    match: {{ path: / }}
    reply: {{ status: 200, headers: {{ content-type: text/plain }}, body: "Portcullis is up.\n" }}
  hello:
    match: {{ path: /hello, methods: [GET] }}
    service: hello
  hello-canary:                 # asks for more than the route above, so it is tried first
    match: {{ path: /hello, methods: [GET], headers: {{ x-env: canary }} }}
    service: canary
  user:                         # the service has another path for this
    match: {{ path: "/users/{{id}}", methods: [GET] }}
    service: hello
    rewrite: {{ path: "/v1/accounts/{{id}}" }}
  user-info:                    # only for those who show a token or a key
    match: {{ path: /user/info, methods: [GET] }}
    service: hello
    policies:
      - any_of:
          - jwt: {{ issuers: demo, audiences: {AUDIENCE}, forward: false, claims_to_headers: {{ x-user: sub }} }}
          - api_key: {{}}
  echo:
    match: {{ path: /echo, methods: [POST] }}
    service: hello
    limits: {{ body: 1MiB }}
  stream:
    match: {{ path: /stream }}
    service: hello
  slow:                         # the service takes {slow} s, which is more than this route waits
    match: {{ path: /slow }}
    service: hello
    timeouts: {{ first_byte: 1s }}
  old:
    match: {{ path: "/old/{{*rest}}" }}
    redirect: {{ to: "/{{rest}}?{{query}}", status: 301 }}

admin: {{ address: "{admin}" }}
access_log: {{ to: stdout }}
"#,
        slow = SLOW.as_secs(),
    )
}

/// The text that is printed once the gateway serves; `program` is how a shell starts this one.
pub(super) fn text(
    program: &str,
    web: &Reserved,
    admin: &Reserved,
    samples: &[Sample],
    demo: &Demo,
    config: &str,
) -> String {
    let mut out = String::from("\nPortcullis is running.\n\n");
    for reserved in [web, admin] {
        if let Some(wanted) = reserved.instead_of {
            // Writing to a string cannot fail.
            let _ =
                writeln!(out, "  {wanted} is in use, so {} is taken instead.", reserved.address);
        }
    }
    let (url, admin_url) = (url(web.address), url(admin.address));
    let _ = writeln!(out, "  gateway   {url}");
    let _ = writeln!(out, "  admin     {admin_url}");
    for Sample { name, address } in samples {
        let _ = writeln!(out, "  {name}   http://{address}   (a sample instance)");
    }
    let _ = write!(out, "\nThe configuration that it runs with:\n\n{config}\n");
    out.push_str("Try in another terminal; the status to expect stands before each line:\n\n");
    let tries = [routing(&url), calling(&url, demo), failing(&url, &admin_url, samples)];
    for (what, status, line) in tries.into_iter().flatten() {
        let _ = writeln!(out, "  {what}\n    {status}  {line}\n");
    }
    let _ = write!(
        out,
        "To see why a request goes where it goes, put the configuration into gateway.yaml and run\n    \
         {program} explain --config gateway.yaml GET {url}/users/7\n\n\
         Each request leaves a line here. Ctrl-C ends it all.\n\n"
    );
    out
}

/// Something to try: what it shows, the status to expect, the command.
type Try = (String, u16, String);

/// Where requests go.
fn routing(url: &str) -> Vec<Try> {
    [
        (
            "The gateway answers by itself. RateLimit-Policy has what a client may send (q in w \
             seconds),\n  RateLimit what this one has left (r).",
            200,
            format!("curl -i {url}/"),
        ),
        ("A service answers and tells what it saw.", 200, format!("curl -i {url}/hello")),
        (
            "A header makes another route win: always hello-2.",
            200,
            format!("curl -H 'x-env: canary' {url}/hello"),
        ),
        ("A path parameter: the service sees /v1/accounts/7.", 200, format!("curl {url}/users/7")),
        (
            "A method that the route does not take; Allow names those that it does.",
            405,
            format!("curl -i -X DELETE {url}/users/7"),
        ),
        (
            "No route: a problem document with the id of the request.",
            404,
            format!("curl -i {url}/nothing"),
        ),
        ("A redirect; see Location.", 301, format!("curl -i '{url}/old/users/7?a=b'")),
        ("Content goes there and comes back.", 200, format!("curl -d 'open sesame' {url}/echo")),
        ("Events, each passed on at once.", 200, format!("curl -N {url}/stream")),
        ("The service takes longer than the route waits.", 504, format!("curl -i {url}/slow")),
    ]
    .map(|(what, status, line)| (what.to_owned(), status, line))
    .into()
}

/// Who may call.
fn calling(url: &str, demo: &Demo) -> Vec<Try> {
    let Demo { token, key, .. } = demo;
    [
        (
            "Not for everybody: WWW-Authenticate has what would do, a token or a key.".to_owned(),
            401,
            format!("curl -i {url}/user/info"),
        ),
        (
            format!(
                "A token that the built-in issuer has signed, good for a day. The service sees \
                 x-user: {SUBJECT}."
            ),
            200,
            format!("curl -H 'authorization: Bearer {token}' {url}/user/info"),
        ),
        (
            format!(
                "An API key, which the service does not see; the log names its consumer, {CONSUMER}."
            ),
            200,
            format!("curl -H 'x-api-key: {key}' {url}/user/info"),
        ),
    ]
    .into()
}

/// What becomes of requests when an instance goes away.
fn failing(url: &str, admin: &str, samples: &[Sample]) -> Vec<Try> {
    let six = format!("curl -si '{url}/hello?[1-6]' | grep -E '^HTTP|instance'");
    let mut tries = vec![("Six requests: the instances take turns.".to_owned(), 200, six.clone())];
    // The last one is the canary, too.
    if let [gone, .., left] = samples {
        tries.push((
            format!("Stop {}.", gone.name),
            200,
            format!("curl -X DELETE http://{}{INSTANCE}", gone.address),
        ));
        tries.push((
            format!(
                "The same six: {} has them all, and none fails. All other lines still work.",
                left.name
            ),
            200,
            six,
        ));
    }
    tries.push((
        "What is known of the instances; a stopped one fails its checks after a few seconds."
            .to_owned(),
        200,
        format!("curl {admin}/endpoints"),
    ));
    tries.push(("Metrics of all of this.".to_owned(), 200, format!("curl {admin}/metrics")));
    tries
}

/// The URL of an address as a client on this machine writes it.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use portcullis_config::{Format, Loader};

    use super::*;

    #[test]
    fn the_configuration_has_neither_faults_nor_warnings() {
        let samples = ["127.0.0.1:4001", "127.0.0.1:4002"]
            .map(|address| Sample { name: "x", address: address.parse().unwrap() });
        let address = "[::1]:8000".parse().unwrap();
        let demo = Demo::new(std::time::SystemTime::now()).unwrap();
        let config = config(address, "127.0.0.1:9901".parse().unwrap(), &samples, &demo);
        let loaded = Loader::from_text("t.yaml", config, Format::Yaml).load().unwrap();
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }

    #[test]
    fn urls_lead_to_this_machine() {
        for (address, expected) in [
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
