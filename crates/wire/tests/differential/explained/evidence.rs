//! What in an input speaks for an explanation. Written apart from the parser that is tested.

use std::net::Ipv6Addr;

/// Whether an LF stands without its CR.
pub(super) fn has_bare_lf(input: &[u8]) -> bool {
    input.starts_with(b"\n") || input.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r')
}

/// Whether a line end stands right before a message that begins with `start`.
pub(super) fn line_end_before(input: &[u8], start: &[u8]) -> bool {
    let message = [b"\n", start].concat();
    input.windows(message.len()).any(|window| window == message)
}

/// How many lines are `Content-Length`.
pub(super) fn content_length_lines(input: &[u8]) -> usize {
    let name = b"content-length";
    lines(input)
        .filter(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
        .count()
}

/// Digits, few enough for a signed 64-bit number whatever they are.
pub(super) fn is_plain_length(value: &[u8]) -> bool {
    let digits = value.iter().all(u8::is_ascii_digit);
    digits && value.len() <= 19 && str::from_utf8(value).is_ok_and(|v| v.parse::<i64>().is_ok())
}

/// `name`, `name:port`, `[v6]` or `[v6]:port`.
pub(super) fn is_plain_authority(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let port_ok = port.bytes().all(|b| b.is_ascii_digit())
        && port.len() <= 5
        && (port.is_empty() || port.parse::<u16>().is_ok());
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let name = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let host_ok = match v6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    port_ok && host_ok
}

/// Whether a request line with this method has a target that is neither a path nor an http URL of
/// visible ASCII without fragment.
pub(super) fn doubtful_target(input: &[u8], method: &[u8]) -> bool {
    let start = [method, b" "].concat();
    lines(input).any(|line| {
        let Some(at) = line.windows(start.len()).position(|window| window == start) else {
            return false;
        };
        let target = line[at + start.len()..].split(|&b| b == b' ').next().unwrap_or_default();
        let lower = target.to_ascii_lowercase();
        let form = [&b"/"[..], b"http://", b"https://"].iter().any(|form| lower.starts_with(form));
        !form || !target.iter().all(u8::is_ascii_graphic) || target.contains(&b'#')
    })
}

/// Whether some line could be a chunk's size with something behind it, or with too many digits.
pub(super) fn odd_size_line(input: &[u8]) -> bool {
    lines(input).any(|line| {
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let behind = line.get(digits).is_some_and(|b| b" \t;".contains(b));
        digits > 16 || (digits > 0 && behind)
    })
}

/// Whether a `Connection` field has a byte beyond ASCII.
pub(super) fn non_ascii_connection(input: &[u8]) -> bool {
    let name = b"connection:";
    lines(input).any(|line| {
        line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name) && !line.is_ascii()
    })
}

fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
