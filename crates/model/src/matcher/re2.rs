//! Go's regular expressions (RE2) in the syntax of the `regex` crate.
//!
//! The two differ: Go's `\d \s \w \b` are ASCII, it has `\Q…\E`, octal
//! escapes, `\_`, `[[]` and a literal `{`; it refuses `a**`, repetition beyond
//! 1000, `(?x)`, `\u0041`; and the crate has operators within classes (`&&`).
//! A group's name comes out as `_name`, or as `_name[1]` where it is the second
//! of that name.
//! Source: the syntax page of Go's regexp/syntax and its error texts.

use std::collections::HashMap;
use std::fmt::Write;

/// The greatest count in a repetition.
const MAX_REPEAT: u32 = 1000;

/// Translates a pattern. `Err` is Go's text of what is wrong, without the
/// leading `error parsing regexp: `.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut t = Translator {
        pattern,
        pos: 0,
        out: String::with_capacity(pattern.len() + 8),
        has_operand: false,
        operand_end: 0,
        open_groups: 0,
        names: HashMap::new(),
        repeats: 0,
        group_repeats: vec![0],
    };
    t.run()?;
    Ok(t.out)
}

struct Translator<'a> {
    pattern: &'a str,
    pos: usize,
    out: String,
    /// Whether a repetition would have something to repeat.
    has_operand: bool,
    /// Where what would be repeated ends in `out`.
    operand_end: usize,
    open_groups: usize,
    /// How often a group had each name.
    names: HashMap<&'a str, usize>,
    /// How many times counted repetitions within the last operand repeat in all.
    repeats: u64,
    /// The same of the operands before it, for each open group.
    group_repeats: Vec<u64>,
}

type Done<T> = Result<T, String>;

fn fail<T>(code: &str, what: &str) -> Done<T> {
    Err(format!("{code}: `{what}`"))
}

/// The ASCII ranges of `\d`, `\s`, `\w` and the POSIX classes.
fn ranges_of(name: &str) -> Option<&'static [(char, char)]> {
    Some(match name {
        "d" | "digit" => &[('0', '9')],
        "s" => &[('\t', '\n'), ('\u{c}', '\r'), (' ', ' ')],
        "w" | "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\u{7f}')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\u{1f}'), ('\u{7f}', '\u{7f}')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    })
}

impl<'a> Translator<'a> {
    fn rest(&self) -> &'a str {
        &self.pattern[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let hit = self.rest().starts_with(text);
        self.pos += if hit { text.len() } else { 0 };
        hit
    }

    fn run(&mut self) -> Done<()> {
        // Where the repetition that was read last begins.
        let mut last_repeat = None;
        while let Some(c) = self.peek() {
            let start = self.pos;
            let mut repeat = None;
            let groups = self.open_groups;
            if !matches!(c, '*' | '+' | '?' | '{' | '(') {
                self.next_operand();
            }
            match c {
                '(' => self.group()?,
                ')' => {
                    let Some(open) = self.open_groups.checked_sub(1) else {
                        return fail("unexpected )", self.pattern);
                    };
                    self.open_groups = open;
                    self.pos += 1;
                    self.out.push(')');
                    self.has_operand = true;
                    self.repeats = self.group_repeats.pop().unwrap_or(0);
                }
                '|' => {
                    self.pos += 1;
                    self.out.push('|');
                    self.has_operand = false;
                }
                '^' | '$' | '.' => {
                    self.pos += 1;
                    self.out.push(c);
                    self.has_operand = true;
                }
                '[' => self.class()?,
                '*' | '+' | '?' => {
                    self.pos += 1;
                    self.repeat(start, last_repeat)?;
                    repeat = Some(start);
                }
                '{' => {
                    if let Some((low, high)) = self.counted(start)? {
                        self.repeat(start, last_repeat)?;
                        self.multiply(low, high, start)?;
                        repeat = Some(start);
                    } else {
                        self.next_operand();
                        self.pos += 1;
                        self.literal('{');
                    }
                }
                '\\' => self.escape()?,
                c => {
                    self.pos += c.len_utf8();
                    self.literal(c);
                }
            }
            let only_flags = c == '(' && self.open_groups == groups;
            if !only_flags {
                self.operand_end = self.out.len();
            }
            last_repeat = repeat;
        }
        if self.open_groups == 0 { Ok(()) } else { fail("missing closing )", self.pattern) }
    }

    fn literal(&mut self, c: char) {
        self.out.push_str(&regex_syntax::escape(c.encode_utf8(&mut [0; 4])));
        self.has_operand = true;
    }

    /// Ends a repetition whose operator has been read.
    fn repeat(&mut self, start: usize, last: Option<usize>) -> Done<()> {
        self.take("?");
        if let Some(last) = last {
            let what = &self.pattern[last..self.pos];
            return fail("invalid nested repetition operator", what);
        }
        let what = &self.pattern[start..self.pos];
        if !self.has_operand {
            return fail("missing argument to repetition operator", what);
        }
        // Flags may stand between: `a(?i)*` repeats `a`.
        self.out.insert_str(self.operand_end, what);
        Ok(())
    }

    /// The operand that was the last one is one of its group's from now on.
    fn next_operand(&mut self) {
        if let Some(most) = self.group_repeats.last_mut() {
            *most = self.repeats.max(*most);
        }
        self.repeats = 0;
    }

    /// Counts what a counted repetition repeats; Go refuses more than a
    /// thousand times in all.
    fn multiply(&mut self, low: u32, high: Option<u32>, start: usize) -> Done<()> {
        let times = u64::from(high.unwrap_or(low));
        self.repeats = match (times, high) {
            (0, Some(_)) => 0,
            (0, None) => self.repeats,
            (times, _) => times.saturating_mul(self.repeats.max(1)),
        };
        if times >= 2 && self.repeats > u64::from(MAX_REPEAT) {
            return fail("invalid repeat count", &self.pattern[start..self.pos]);
        }
        Ok(())
    }

    /// Reads `{n}`, `{n,}` or `{n,m}`: the bounds, or `None` when it is none of them.
    fn counted(&mut self, start: usize) -> Done<Option<(u32, Option<u32>)>> {
        let Some(end) = self.rest().find('}') else { return Ok(None) };
        let body = &self.rest()[1..end];
        let (low, high) = match body.split_once(',') {
            None => (body, Some(body)),
            Some((low, "")) => (low, None),
            Some((low, high)) => (low, Some(high)),
        };
        let number = |s: &str| {
            let digits = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            (digits && (s.len() == 1 || !s.starts_with('0')))
                .then(|| s.parse::<u32>().unwrap_or(u32::MAX))
        };
        let Some(low) = number(low) else { return Ok(None) };
        let high = match high.map(number) {
            Some(None) => return Ok(None),
            Some(high) => high,
            None => None,
        };
        self.pos += end + 1;
        let most = high.unwrap_or(low);
        if low > MAX_REPEAT || most > MAX_REPEAT || low > most {
            return fail("invalid repeat count", &self.pattern[start..self.pos]);
        }
        Ok(Some((low, high)))
    }

    /// `(`, `(?:`, `(?P<name>`, `(?flags)`, `(?flags:`
    fn group(&mut self) -> Done<()> {
        let start = self.pos;
        self.pos += 1;
        if !self.take("?") {
            self.out.push('(');
            return self.open();
        }
        if self.take("P<") || self.take("<") {
            let Some(end) = self.rest().find('>') else {
                return fail("invalid named capture", &self.pattern[start..]);
            };
            let name = &self.rest()[..end];
            self.pos += end + 1;
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return fail("invalid named capture", &self.pattern[start..self.pos]);
            }
            // The crate takes no digit in front, and no name twice.
            let before = self.names.entry(name).or_default();
            let _ = match *before {
                // Writing to a String cannot fail.
                0 => write!(self.out, "(?P<_{name}>"),
                n => write!(self.out, "(?P<_{name}[{n}]>"),
            };
            *before += 1;
            return self.open();
        }
        let mut minus = false;
        let mut any = false;
        loop {
            match self.bump() {
                Some('i' | 'm' | 's' | 'U') => any = true,
                Some('-') if !minus => {
                    minus = true;
                    any = false;
                }
                Some(end @ (':' | ')')) if any || !minus => {
                    self.out.push_str(&self.pattern[start..self.pos]);
                    if end == ':' {
                        return self.open();
                    }
                    // `(?)` is nothing at all; the crate refuses it.
                    if &self.pattern[start..self.pos] == "(?)" {
                        self.out.truncate(self.out.len() - 3);
                    }
                    return Ok(());
                }
                _ => {
                    let what = &self.pattern[start..self.pos];
                    return fail("invalid or unsupported Perl syntax", what);
                }
            }
        }
    }

    fn open(&mut self) -> Done<()> {
        self.next_operand();
        self.group_repeats.push(0);
        self.open_groups += 1;
        self.has_operand = false;
        Ok(())
    }

    /// A backslash outside of a class.
    fn escape(&mut self) -> Done<()> {
        let start = self.pos;
        let after = self.rest()[1..].chars().next();
        match after {
            Some('A' | 'z') => {
                self.pos += 2;
                self.out.push_str(&self.pattern[start..self.pos]);
                self.has_operand = true;
            }
            Some('b') => {
                self.pos += 2;
                self.out.push_str("(?-u:\\b)");
                self.has_operand = true;
            }
            Some('B') => {
                self.pos += 2;
                // Between ASCII word characters, or where neither side is one.
                self.out.push_str("\\B");
                self.has_operand = true;
            }
            Some('C') => return fail("invalid escape sequence", "\\C"),
            Some('Q') => {
                self.pos += 2;
                let text = match self.rest().find("\\E") {
                    Some(end) => &self.rest()[..end],
                    None => self.rest(),
                };
                self.pos += text.len();
                self.take("\\E");
                for c in text.chars() {
                    self.literal(c);
                }
            }
            Some(c) if "dDsSwW".contains(c) => {
                self.pos += 2;
                self.out.push('[');
                self.perl_class(c);
                self.out.push(']');
                self.has_operand = true;
            }
            Some('p' | 'P') => {
                self.unicode_class()?;
                self.has_operand = true;
            }
            _ => {
                let c = self.escaped_char()?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// The members of `\d` and its kin, to stand within brackets.
    fn perl_class(&mut self, name: char) {
        let ranges = ranges_of(name.to_ascii_lowercase().encode_utf8(&mut [0; 4]));
        self.named(ranges.unwrap_or_default(), name.is_ascii_uppercase());
    }

    fn named(&mut self, ranges: &[(char, char)], negated: bool) {
        self.out.push_str(if negated { "[^" } else { "[" });
        for (low, high) in ranges {
            self.range(*low, *high);
        }
        self.out.push(']');
    }

    fn range(&mut self, low: char, high: char) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(low));
        if high != low {
            let _ = write!(self.out, "-\\x{{{:x}}}", u32::from(high));
        }
    }

    /// `\pN`, `\p{Greek}`, `\P{^Greek}`
    fn unicode_class(&mut self) -> Done<()> {
        let start = self.pos;
        let mut negated = self.rest().starts_with("\\P");
        self.pos += 2;
        let Some(first) = self.bump() else {
            return fail("invalid character class range", &self.pattern[start..]);
        };
        let mut name = &self.pattern[self.pos - first.len_utf8()..self.pos];
        if first == '{' {
            let Some(end) = self.rest().find('}') else {
                return fail("invalid character class range", &self.pattern[start..]);
            };
            name = &self.rest()[..end];
            self.pos += end + 1;
        }
        if let Some(rest) = name.strip_prefix('^') {
            negated = !negated;
            name = rest;
        }
        let letter = if negated { 'P' } else { 'p' };
        let class = format!("\\{letter}{{{name}}}");
        let known = name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
            && regex_syntax::parse(&class).is_ok();
        if !known {
            let what = &self.pattern[start..self.pos];
            return fail("invalid character class range", what);
        }
        self.out.push_str(&class);
        Ok(())
    }

    /// A backslash that stands for one character.
    fn escaped_char(&mut self) -> Done<char> {
        let start = self.pos;
        self.pos += 1;
        let Some(c) = self.bump() else {
            return fail("trailing backslash at end of expression", "");
        };
        let bad = |t: &Self| fail("invalid escape sequence", &t.pattern[start..t.pos]);
        let octal = |c: Option<char>| c.filter(|c| ('0'..='7').contains(c));
        match c {
            '0'..='7' => {
                // One digit other than zero would be a reference to a group.
                if c != '0' && octal(self.peek()).is_none() {
                    return bad(self);
                }
                let mut n = u32::from(c) - u32::from('0');
                for _ in 0..2 {
                    let Some(d) = octal(self.peek()) else { break };
                    n = n * 8 + u32::from(d) - u32::from('0');
                    self.pos += 1;
                }
                char::from_u32(n).map_or_else(|| bad(self), Ok)
            }
            'x' => {
                let mut code = 0;
                if self.take("{") {
                    let from = self.pos;
                    // Go complains where it cannot go on.
                    while !self.take("}") {
                        let Some(digit) = self.bump() else { return bad(self) };
                        let Some(digit) = digit.to_digit(16) else { return bad(self) };
                        code = code * 16 + digit;
                        if code > u32::from(char::MAX) {
                            return bad(self);
                        }
                    }
                    if self.pos == from + 1 {
                        return bad(self);
                    }
                } else {
                    let digits = [self.bump(), self.bump()];
                    for digit in digits {
                        let Some(digit) = digit.and_then(|d| d.to_digit(16)) else {
                            return bad(self);
                        };
                        code = code * 16 + digit;
                    }
                }
                char::from_u32(code).map_or_else(|| bad(self), Ok)
            }
            'a' => Ok('\u{7}'),
            'f' => Ok('\u{c}'),
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'v' => Ok('\u{b}'),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(c),
            _ => bad(self),
        }
    }

    /// `[…]`
    fn class(&mut self) -> Done<()> {
        let start = self.pos;
        self.pos += 1;
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let missing = || fail("missing closing ]", &self.pattern[start..]);
            let Some(c) = self.peek() else { return missing() };
            if c == ']' && !first {
                self.pos += 1;
                self.out.push(']');
                self.has_operand = true;
                return Ok(());
            }
            first = false;
            if self.rest().starts_with("[:")
                && let Some(end) = self.rest()[2..].find(":]")
            {
                let name = &self.rest()[2..2 + end];
                let what = &self.rest()[..end + 4];
                self.pos += end + 4;
                let (negated, name) =
                    name.strip_prefix('^').map_or((false, name), |rest| (true, rest));
                match ranges_of(name).filter(|_| name.len() > 1) {
                    Some(ranges) => self.named(ranges, negated),
                    None => return fail("invalid character class range", what),
                }
                continue;
            }
            if c == '\\' {
                match self.rest()[1..].chars().next() {
                    Some('p' | 'P') => {
                        self.unicode_class()?;
                        continue;
                    }
                    Some(c) if "dDsSwW".contains(c) => {
                        self.pos += 2;
                        self.perl_class(c);
                        continue;
                    }
                    _ => {}
                }
            }
            let from = self.pos;
            let low = self.class_char(start)?;
            let is_range = self.rest().starts_with('-')
                && !self.rest().starts_with("-]")
                && self.rest().len() > 1;
            let high = if is_range {
                self.pos += 1;
                self.class_char(start)?
            } else {
                low
            };
            if high < low {
                let what = &self.pattern[from..self.pos];
                return fail("invalid character class range", what);
            }
            self.range(low, high);
        }
    }

    fn class_char(&mut self, class: usize) -> Done<char> {
        match self.peek() {
            None => fail("missing closing ]", &self.pattern[class..]),
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.pos += c.len_utf8();
                Ok(c)
            }
        }
    }
}
