//! Go's quoting: how error texts and printed queries show strings, and how a
//! query's string literals are read. Go strings are bytes, so is an unquoted
//! literal.

use std::fmt::Write;

/// Go's `strconv.Quote` of text.
pub fn quote(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 2);
    out.push('"');
    for c in s.chars() {
        push_rune(&mut out, c, '"');
    }
    out.push('"');
    out
}

/// Go's `strconv.Quote` of bytes that need not be UTF-8.
pub fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_rune(&mut out, c, '"');
        }
        for b in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out.push('"');
    out
}

/// Go's `%q` of one character.
pub(crate) fn quote_rune(c: char) -> String {
    let mut out = String::from("'");
    push_rune(&mut out, c, '\'');
    out.push('\'');
    out
}

/// Go's `%#U`: `U+0061 'a'`.
pub(crate) fn unicode_rune(c: char) -> String {
    if is_print(c) {
        format!("U+{:04X} '{c}'", u32::from(c))
    } else {
        format!("U+{:04X}", u32::from(c))
    }
}

fn push_rune(out: &mut String, c: char, quote: char) {
    let escaped = match c {
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\u{c}' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\u{b}' => 'v',
        '\\' => '\\',
        c if c == quote => quote,
        c if is_print(c) => {
            out.push(c);
            return;
        }
        c => {
            // Writing to a String cannot fail.
            let _ = match u32::from(c) {
                n if n < 0x20 || n == 0x7f => write!(out, "\\x{n:02x}"),
                n if n < 0x10000 => write!(out, "\\u{n:04x}"),
                n => write!(out, "\\U{n:08x}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(escaped);
}

/// Go's `unicode.IsPrint`, as near as the standard library's tables come.
fn is_print(c: char) -> bool {
    match c {
        ' '..='~' => true,
        c if c.is_ascii() || c.is_control() || c.is_whitespace() => false,
        // Debug output of a string escapes what cannot be shown; a letter
        // before it keeps combining marks unescaped.
        c => {
            let mut text = String::from("a");
            text.push(c);
            !format!("{text:?}").contains("\\u{")
        }
    }
}

/// Reads a quoted literal: Go escapes within `"` and `'`, none within `` ` ``.
/// `None` when it is not one.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    let bytes = literal.as_bytes();
    let quote = *bytes.first()?;
    if bytes.len() < 2 || bytes.last() != Some(&quote) {
        return None;
    }
    let inner = &bytes[1..bytes.len() - 1];
    match quote {
        b'`' => return (!inner.contains(&b'`')).then(|| inner.to_vec()),
        b'"' | b'\'' => {}
        _ => return None,
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&b, tail)) = rest.split_first() {
        rest = match b {
            b'\n' => return None,
            b if b == quote => return None,
            b'\\' => unescape(tail, quote, &mut out)?,
            b => {
                out.push(b);
                tail
            }
        };
    }
    Some(out)
}

/// Reads what follows a backslash; returns what follows the escape.
fn unescape<'a>(rest: &'a [u8], quote: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&c, rest) = rest.split_first()?;
    let byte = match c {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' => b'\\',
        b'x' | b'u' | b'U' => {
            let width = match c {
                b'x' => 2,
                b'u' => 4,
                _ => 8,
            };
            let digits = std::str::from_utf8(rest.get(..width)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let n = u32::from_str_radix(digits, 16).ok()?;
            if c == b'x' {
                out.push(u8::try_from(n).ok()?);
            } else {
                let c = char::from_u32(n)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            return rest.get(width..);
        }
        b'0'..=b'7' => {
            let mut n = u32::from(c - b'0');
            for d in rest.get(..2)? {
                if !(b'0'..=b'7').contains(d) {
                    return None;
                }
                n = n * 8 + u32::from(d - b'0');
            }
            out.push(u8::try_from(n).ok()?);
            return rest.get(2..);
        }
        c if c == quote => c,
        _ => return None,
    };
    out.push(byte);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_is_gos() {
        let cases = [
            ("a", r#""a""#),
            ("a\"b\\", r#""a\"b\\""#),
            ("\n\t\u{7}\u{1}\u{7f}", r#""\n\t\a\x01\x7f""#),
            ("é\u{200b}\u{1f600}\u{a0}", "\"é\\u200b\u{1f600}\\u00a0\""),
        ];
        for (input, want) in cases {
            assert_eq!(quote(input), want);
        }
        assert_eq!(quote_bytes(b"a\xff"), r#""a\xff""#);
        assert_eq!(quote_rune('\''), r"'\''");
        assert_eq!(unicode_rune('a'), "U+0061 'a'");
    }

    #[test]
    fn literals_are_read_as_in_go() {
        let cases: [(&str, Option<&[u8]>); 12] = [
            (r#""a'b""#, Some(b"a'b")),
            (r#"'a"b'"#, Some(b"a\"b")),
            (r#"`\n`"#, Some(b"\\n")),
            (r#""\n\\\"""#, Some(b"\n\\\"")),
            (r#""\xff\377""#, Some(b"\xff\xff")),
            (r#""\u00e9\U0001f600""#, Some("é\u{1f600}".as_bytes())),
            (r#""\'""#, None),
            (r#""\ud800""#, None),
            (r#""\q""#, None),
            (r#""\x1""#, None),
            (r#"""#, None),
            ("", None),
        ];
        for (input, want) in cases {
            assert_eq!(unquote(input).as_deref(), want, "{input}");
        }
    }
}
