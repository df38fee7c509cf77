//! The one place where [`ErrorKind`]s become gRPC statuses and back.
//!
//! gRPC has fewer words than we have kinds, so the kind also travels in the
//! metadata key [`KIND_KEY`]; a status of another program, or of the
//! transport, is read by its code.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use varve_model::ErrorKind;

/// The metadata key that carries [`ErrorKind::as_str`].
pub const KIND_KEY: &str = "varve-error-kind";

/// Every kind, to find one by its name.
const ALL: [ErrorKind; 12] = [
    ErrorKind::Invalid,
    ErrorKind::Unauthenticated,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::TooLarge,
    ErrorKind::Execution,
    ErrorKind::Limited,
    ErrorKind::Canceled,
    ErrorKind::Unavailable,
    ErrorKind::Timeout,
    ErrorKind::Corrupt,
    ErrorKind::Internal,
];

/// The status of an error: its kind, and a message for people.
pub fn status(kind: ErrorKind, message: impl Into<String>) -> Status {
    let mut status = Status::new(code(kind), message);
    status.metadata_mut().insert(KIND_KEY, MetadataValue::from_static(kind.as_str()));
    status
}

/// The kind of a status, by its metadata when it has some, else by its code:
/// then it is the transport's, whose word for a connection that broke is
/// `Unknown` or `Internal`, and `Cancelled` for one that closed before it had
/// sent the call: whoever gives up a call itself never reads a status.
pub fn kind(status: &Status) -> ErrorKind {
    let named = status.metadata().get(KIND_KEY).and_then(|v| v.to_str().ok());
    let found = named.and_then(|name| ALL.into_iter().find(|k| k.as_str() == name));
    found.unwrap_or_else(|| kind_of_code(status.code()))
}

fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::TooLarge | ErrorKind::Limited => Code::ResourceExhausted,
        ErrorKind::Execution => Code::FailedPrecondition,
        ErrorKind::Canceled => Code::Cancelled,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

fn kind_of_code(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument | Code::OutOfRange => ErrorKind::Invalid,
        Code::Unauthenticated | Code::PermissionDenied => ErrorKind::Unauthenticated,
        Code::NotFound => ErrorKind::NotFound,
        Code::Aborted | Code::AlreadyExists => ErrorKind::Conflict,
        Code::ResourceExhausted => ErrorKind::Limited,
        Code::FailedPrecondition => ErrorKind::Execution,
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled => {
            ErrorKind::Unavailable
        }
        Code::DeadlineExceeded => ErrorKind::Timeout,
        Code::DataLoss => ErrorKind::Corrupt,
        Code::Ok | Code::Unimplemented => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_the_way() {
        for k in ALL {
            assert_eq!(kind(&status(k, "x")), k);
        }
    }

    #[test]
    fn statuses_of_the_transport_are_read_by_code() {
        assert_eq!(kind(&Status::unavailable("connection refused")), ErrorKind::Unavailable);
        assert_eq!(kind(&Status::deadline_exceeded("")), ErrorKind::Timeout);
        assert_eq!(kind(&Status::unknown("transport error")), ErrorKind::Unavailable);
        assert_eq!(kind(&Status::cancelled("operation was canceled")), ErrorKind::Unavailable);
        assert_eq!(kind(&Status::internal("h2 protocol error")), ErrorKind::Unavailable);
        assert_eq!(kind(&Status::unimplemented("")), ErrorKind::Internal);
    }
}
