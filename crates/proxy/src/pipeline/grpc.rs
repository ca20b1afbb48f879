//! What gRPC asks of an intermediary beyond HTTP: failures in its own terms.

use portcullis_core::Reason;
use portcullis_wire::{BodyLength, RequestHead, ResponseHead};

/// Whether this is a call of gRPC.
pub(crate) fn is_grpc(request: &RequestHead) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    request.fields.all(b"content-type").any(|value| {
        value.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
            && matches!(value.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
    })
}

/// The status code of gRPC for a failure: what its libraries make of the status of HTTP that other
/// clients get.
pub(crate) fn status(reason: Reason) -> &'static str {
    match reason {
        Reason::TotalTimeout => "4",
        Reason::BodyTooLarge
        | Reason::HeadTooLarge
        | Reason::RateLimited
        | Reason::QuotaExhausted
        | Reason::TooManyAtOnce => "8",
        _ => match reason.status() {
            400 => "13",
            401 => "16",
            403 => "7",
            404 | 405 => "12",
            429 | 502 | 503 | 504 => "14",
            _ => "2",
        },
    }
}

/// The `grpc-status` of a reply that is nothing but its head, as failures are told at once.
pub(crate) fn status_of_head(response: &ResponseHead) -> Option<u8> {
    // Others tell it in their trailers, and nothing else need be looked through.
    if response.length != BodyLength::Empty {
        return None;
    }
    let code = response.fields.all(b"grpc-status").next()?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_found_where_there_is_only_a_head() {
        let mut response = ResponseHead::default();
        response.length = BodyLength::Empty;
        assert_eq!(status_of_head(&response), None);
        response.fields.push(b"grpc-status", b"14");
        assert_eq!(status_of_head(&response), Some(14));
        response.length = BodyLength::Unknown;
        assert_eq!(status_of_head(&response), None);
    }

    #[test]
    fn calls_are_told_by_their_type() {
        for (value, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC; charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut request = RequestHead::default();
            request.fields.push(b"content-type", value.as_bytes());
            assert_eq!(is_grpc(&request), grpc, "{value}");
        }
    }
}
