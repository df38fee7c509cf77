//! Remote read: reading a request, and the parts that answers are made of.
//!
//! A request is decoded by hand, because the generated decoder would make a
//! gigabyte of queries out of 32 MiB of two bytes each. Answers are generated
//! messages: [`Samples`] for `SAMPLES`, [`put_frame`] around each message of
//! `STREAMED_XOR_CHUNKS`.

use prost::Message;
use varve_model::{MatchOp, Matcher, MatcherError, ResetHint, Series, TimeRange};

use crate::prompb;
use crate::prompb::v1::read_request::ResponseType;
use crate::remote_write::{DecodeError, Fields};
use crate::varint::put_varint;

/// Most queries of a request; senders known to us send one.
pub const MAX_QUERIES: usize = 100;
/// Most matchers of a request, of all its queries.
pub const MAX_MATCHERS: usize = 1000;

/// What is asked, checked.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The form of the answer: the first that was offered and is known.
    pub response: ResponseType,
    /// The queries, in order.
    pub queries: Vec<ReadQuery>,
}

/// Which samples.
#[derive(Clone, Debug)]
pub struct ReadQuery {
    /// When.
    pub range: TimeRange,
    /// All must hold; none = every series.
    pub matchers: Vec<Matcher>,
}

/// Why a request cannot be answered as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The body is damaged.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// More queries or matchers than allowed.
    #[error("request has more than {limit} {what}")]
    TooMany {
        /// "queries" or "matchers".
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// Text that is not UTF-8.
    #[error("a matcher's {0} is not UTF-8")]
    NotUtf8(&'static str),
    /// An operator of the future.
    #[error("matcher of label {0:?} has the unknown type {1}")]
    Operator(String, i32),
    /// A pattern that does not compile.
    #[error("matcher of label {0:?}: {1}")]
    Matcher(String, MatcherError),
    /// None of the offered forms is known.
    #[error(
        "none of the accepted response types {0:?} is supported, use 0 (SAMPLES) or 1 (STREAMED_XOR_CHUNKS)"
    )]
    ResponseType(Vec<i32>),
}

impl ReadRequest {
    /// Reads a decompressed body.
    ///
    /// # Errors
    /// When it is damaged, asks for too much at once, or for what is not known.
    pub fn decode(body: &[u8]) -> Result<Self, RequestError> {
        let (mut queries, mut matchers) = (Vec::new(), 0);
        let (mut response, mut offered) = (None, Vec::new());
        let mut fields = Fields::new(body, 0, "read request");
        while let Some(field) = fields.next()? {
            match field.number {
                1 => {
                    let (bytes, base) = field.bytes()?;
                    queries.push(read_query(bytes, base, &mut matchers)?);
                    if queries.len() > MAX_QUERIES {
                        return Err(RequestError::TooMany { what: "queries", limit: MAX_QUERIES });
                    }
                }
                2 => field.varints(|v| {
                    response = response.or(ResponseType::try_from(v as i32).ok());
                    // Some are enough to say what was offered.
                    if offered.len() < 8 {
                        offered.push(v as i32);
                    }
                    Ok(())
                })?,
                _ => {}
            }
        }
        let response = match response {
            Some(response) => response,
            None if offered.is_empty() => ResponseType::Samples,
            None => return Err(RequestError::ResponseType(offered)),
        };
        Ok(Self { response, queries })
    }
}

fn read_query(bytes: &[u8], base: usize, matchers: &mut usize) -> Result<ReadQuery, RequestError> {
    let (mut start, mut end, mut found) = (0_i64, 0, Vec::new());
    let mut fields = Fields::new(bytes, base, "read query");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => start = field.int64()?,
            2 => end = field.int64()?,
            3 => {
                *matchers += 1;
                if *matchers > MAX_MATCHERS {
                    return Err(RequestError::TooMany { what: "matchers", limit: MAX_MATCHERS });
                }
                let (bytes, base) = field.bytes()?;
                found.push(read_matcher(bytes, base)?);
            }
            _ => {}
        }
    }
    // The range is left-open: start itself belongs to it.
    Ok(ReadQuery { range: TimeRange::new(start.saturating_sub(1), end), matchers: found })
}

fn read_matcher(bytes: &[u8], base: usize) -> Result<Matcher, RequestError> {
    let (mut op, mut name, mut value) = (0, "", "");
    let text = |bytes, what| std::str::from_utf8(bytes).map_err(|_| RequestError::NotUtf8(what));
    let mut fields = Fields::new(bytes, base, "label matcher");
    while let Some(field) = fields.next()? {
        match field.number {
            1 => op = field.int32()?,
            2 => name = text(field.bytes()?.0, "name")?,
            3 => value = text(field.bytes()?.0, "value")?,
            _ => {}
        }
    }
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        other => return Err(RequestError::Operator(name.to_owned(), other)),
    };
    Matcher::new(op, name, value).map_err(|e| RequestError::Matcher(name.to_owned(), e))
}

/// One series as it stands in a `QueryResult`.
#[derive(Debug)]
pub struct Samples(prompb::v1::TimeSeries);

impl Samples {
    /// The message of a series.
    ///
    /// A known counter reset is left for the reader to find again: it may
    /// merge what it reads with other samples, and then the verdict no longer
    /// holds.
    pub fn new(series: &Series) -> Self {
        let mut message = prompb::series_v1(series, &[]);
        for h in &mut message.histograms {
            if h.reset_hint == ResetHint::CounterReset as i32 {
                h.reset_hint = ResetHint::Unknown as i32;
            }
        }
        Self(message)
    }

    /// Bytes that [`Samples::put`] appends, at most.
    pub fn max_len(&self) -> usize {
        self.0.encoded_len() + MAX_HEADER
    }

    /// Appends the series to the bytes of a `QueryResult`.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_header(self.0.encoded_len(), out);
        // A Vec takes all that is put into it.
        let _ = self.0.encode(out);
    }
}

/// Bytes that [`compress`] makes of so many, at most.
pub fn max_compressed_len(plain: usize) -> usize {
    snap::raw::max_compress_len(plain)
}

/// One Snappy block.
///
/// # Errors
/// When there are 4 GiB or more.
pub fn compress(plain: &[u8]) -> Result<Vec<u8>, snap::Error> {
    snap::raw::Encoder::new().compress_vec(plain)
}

/// Bytes before a message within a message, at most.
pub const MAX_HEADER: usize = 11;

/// Appends the bytes of a `QueryResult` to those of a `ReadResponse`.
pub fn put_result(result: &[u8], out: &mut Vec<u8>) {
    put_header(result.len(), out);
    out.extend_from_slice(result);
}

/// The tag of field 1, a message of `len` bytes.
fn put_header(len: usize, out: &mut Vec<u8>) {
    out.push(1 << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a frame: the length of the message, its CRC-32C, the message.
pub fn put_frame(message: &prompb::v1::ChunkedReadResponse, out: &mut Vec<u8>) {
    let bytes = message.encode_to_vec();
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    out.extend_from_slice(&bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use prompb::v1;

    fn matcher(r#type: i32, name: &str, value: &str) -> v1::LabelMatcher {
        v1::LabelMatcher { r#type, name: name.to_owned(), value: value.to_owned() }
    }

    fn request(accepted: &[i32], matchers: Vec<v1::LabelMatcher>) -> Vec<u8> {
        let hints = Some(v1::ReadHints { func: "rate".to_owned(), ..Default::default() });
        let query = v1::Query { start_timestamp_ms: -5, end_timestamp_ms: 9, matchers, hints };
        let accepted_response_types = accepted.to_vec();
        v1::ReadRequest { queries: vec![query], accepted_response_types }.encode_to_vec()
    }

    #[test]
    fn requests_are_read() {
        let matchers = vec![matcher(0, "a", "b"), matcher(3, "c", "d.*")];
        let read = ReadRequest::decode(&request(&[7, 1, 0], matchers)).expect("valid");
        assert_eq!(read.response, ResponseType::StreamedXorChunks);
        assert_eq!(read.queries[0].range, TimeRange::new(-6, 9));
        assert_eq!(format!("{:?}", read.queries[0].matchers), "[a=\"b\", c!~\"d.*\"]");
        let read = ReadRequest::decode(&request(&[], Vec::new())).expect("valid");
        assert_eq!(read.response, ResponseType::Samples);
    }

    #[test]
    fn what_cannot_be_answered_is_named() {
        let many = (0..=MAX_MATCHERS).map(|_| matcher(0, "a", "b")).collect();
        let queries = vec![v1::Query::default(); MAX_QUERIES + 1];
        let queries = v1::ReadRequest { queries, ..Default::default() }.encode_to_vec();
        let cases = [
            (request(&[2, 9], Vec::new()), "none of the accepted response types [2, 9] is"),
            (request(&[0], vec![matcher(4, "a", "b")]), "label \"a\" has the unknown type 4"),
            (request(&[0], vec![matcher(2, "a", "(")]), "label \"a\": error parsing regexp"),
            (request(&[0], many), "more than 1000 matchers"),
            (queries, "more than 100 queries"),
            (vec![0x0a, 0x05], "malformed read request at byte"),
        ];
        for (body, want) in cases {
            let got = ReadRequest::decode(&body).expect_err(want).to_string();
            assert!(got.contains(want), "{got}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_generated_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(ours) = ReadRequest::decode(&bytes)
                && let Ok(theirs) = v1::ReadRequest::decode(&*bytes)
            {
                let range = |q: &v1::Query| {
                    TimeRange::new(q.start_timestamp_ms.saturating_sub(1), q.end_timestamp_ms)
                };
                let ranges: Vec<_> = theirs.queries.iter().map(range).collect();
                prop_assert_eq!(ours.queries.iter().map(|q| q.range).collect::<Vec<_>>(), ranges);
            }
        }
    }
}
