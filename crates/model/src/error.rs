//! The handful of error kinds on which programs decide.
//!
//! Every crate has its own detailed errors for people; each maps to one of
//! these for decisions: whether to retry, which HTTP or gRPC status to send.
//! The two mappings live in one place each (`varve_wire::status` and
//! `varve_api`'s error page).

/// What a caller should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request can never succeed as it is. HTTP 400.
    Invalid,
    /// The caller is not who it needs to be. HTTP 401.
    Unauthenticated,
    /// The named thing does not exist. HTTP 404.
    NotFound,
    /// Somebody else was first; read again and decide anew. HTTP 409.
    Conflict,
    /// The request itself is larger than a limit allows. HTTP 413.
    TooLarge,
    /// The request is well formed, but evaluating it fails. HTTP 422.
    Execution,
    /// A tenant's own rate limit; later the same request may pass. HTTP 429.
    Limited,
    /// The caller went away. HTTP 499.
    Canceled,
    /// Overload, no leader, full disk, bucket away: retry. HTTP 503.
    Unavailable,
    /// The time allowed for the work ran out. HTTP 503 (as Prometheus does).
    Timeout,
    /// Stored bytes are not what was written. HTTP 500.
    Corrupt,
    /// A defect of Varve. HTTP 500.
    Internal,
}

impl ErrorKind {
    /// Whether the same request can succeed later without being changed.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Limited | Self::Unavailable | Self::Timeout | Self::Conflict)
    }

    /// A stable lower-case name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Execution => "execution",
            Self::Limited => "limited",
            Self::Canceled => "canceled",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}
