//! The messages of `grpc.health.v1`, which are two fields in all: written and read by hand.

use portcullis_core::health::CheckResult;
use portcullis_wire::{Fields, ResponseHead};

use super::check::Fault;

/// The method that is called.
pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Most bytes of an answer that are read; a legal one has seven.
pub(super) const MOST_ANSWER: usize = 1024;

/// What a message begins with: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// `HealthCheckRequest { service }` as a message of gRPC.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 2);
    if !service.is_empty() {
        // Field 1, length-delimited.
        message.push(0x0a);
        write_varint(service.len() as u64, &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// Whether an answer says that the service serves.
pub(super) fn judge(head: &ResponseHead, content: &[u8], trailers: &Fields) -> Result<(), Fault> {
    if head.status != 200 {
        return Err(Fault::new(CheckResult::Status, format_args!("status {}", head.status)));
    }
    // Without content the status is in the head.
    let status = [trailers, &head.fields].into_iter().find_map(|f| f.all(b"grpc-status").next());
    match status {
        Some(b"0") => {}
        Some(status) => {
            let code = String::from_utf8_lossy(status);
            let meaning = match status {
                b"5" => " (it knows no such service)",
                b"12" => " (it does not implement grpc.health.v1)",
                _ => "",
            };
            let detail = format_args!("grpc-status {code}{meaning}");
            return Err(Fault::new(CheckResult::NotServing, detail));
        }
        None => return Err(Fault::new(CheckResult::Malformed, "no grpc-status")),
    }
    let malformed = || Fault::new(CheckResult::Malformed, "this is no HealthCheckResponse");
    match serving_status(content).ok_or_else(malformed)? {
        1 => Ok(()),
        0 => Err(Fault::new(CheckResult::NotServing, "UNKNOWN")),
        2 => Err(Fault::new(CheckResult::NotServing, "NOT_SERVING")),
        3 => Err(Fault::new(CheckResult::NotServing, "SERVICE_UNKNOWN")),
        other => Err(Fault::new(CheckResult::NotServing, format_args!("status {other}"))),
    }
}

/// The `status` of a `HealthCheckResponse`; 0 where it is not there. Unknown fields are skipped.
fn serving_status(content: &[u8]) -> Option<u64> {
    let (prefix, mut message) = content.split_at_checked(PREFIX)?;
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    // Compression was not offered.
    if prefix[0] != 0 || usize::try_from(length) != Ok(message.len()) {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        match (key >> 3, key & 7) {
            (1, 0) => status = read_varint(&mut message)?,
            (_, 0) => drop(read_varint(&mut message)?),
            (_, 1) => message = message.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(read_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            (_, 5) => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (i, &byte) in from.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * i as u32)?;
        if byte & 0x80 == 0 {
            *from = &from[i + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        content: &[u8],
        head_status: Option<&str>,
        status: Option<&str>,
    ) -> Result<(), Fault> {
        let mut head = ResponseHead::default();
        head.status = 200;
        let mut trailers = Fields::default();
        if let Some(status) = head_status {
            head.fields.push(b"grpc-status", status.as_bytes());
        }
        if let Some(status) = status {
            trailers.push(b"grpc-status", status.as_bytes());
        }
        judge(&head, content, &trailers)
    }

    #[test]
    fn requests_are_framed() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
    }

    #[test]
    fn only_serving_passes() {
        let says = |status: u8| judged(&[0, 0, 0, 0, 2, 8, status], None, Some("0"));
        assert_eq!(says(1), Ok(()));
        for (status, detail) in [(0, "UNKNOWN"), (2, "NOT_SERVING"), (3, "SERVICE_UNKNOWN")] {
            let fault = says(status).unwrap_err();
            assert_eq!((fault.result, &*fault.detail), (CheckResult::NotServing, detail));
        }
        assert_eq!(judged(&[0, 0, 0, 0, 0], None, Some("0")).unwrap_err().detail, "UNKNOWN");
        // Fields that we do not know are none of ours.
        let more = [0, 0, 0, 0, 6, 0x12, 2, b'h', b'i', 8, 1];
        assert_eq!(judged(&more, None, Some("0")), Ok(()));
    }

    #[test]
    fn errors_of_the_call_fail() {
        let fault = judged(&[], Some("12"), None).unwrap_err();
        assert!(fault.detail.contains("does not implement"), "{fault:?}");
        assert_eq!(judged(&[], Some("5"), None).unwrap_err().result, CheckResult::NotServing);
    }

    #[test]
    fn what_is_no_answer_fails() {
        for content in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 2, 8, 1],
            &[0, 0, 0, 0, 3, 8, 1],
            &[0, 0, 0, 0, 2, 8, 0x80],
            &[0, 0, 0, 0, 2, 0x12, 9],
            &[0, 0, 0, 0, 2, 0x0f, 1],
            &[0, 0, 0, 0, 12, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        ] {
            let fault = judged(content, None, Some("0")).unwrap_err();
            assert_eq!(fault.result, CheckResult::Malformed, "{content:?}");
        }
        assert_eq!(
            judged(&[0, 0, 0, 0, 2, 8, 1], None, None).unwrap_err().result,
            CheckResult::Malformed
        );
    }
}
