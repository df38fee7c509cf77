//! Queries with mistakes: valid ones of which tokens were dropped, doubled,
//! exchanged or put in. Most do not parse; what is said of them, and where,
//! should be what the judge says.

use super::super::random::Random;

/// Put in anywhere.
const EXTRA: [&str; 48] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "=",
    "==",
    "=~",
    "!~",
    "!=",
    "+",
    "-",
    "*",
    "^",
    "@",
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "by",
    "without",
    "bool",
    "offset",
    "group_left",
    "group_right",
    "sum",
    "topk",
    "rate",
    "5m",
    "1",
    "0x1F",
    "Inf",
    "\"s\"",
    "'open",
    "foo",
    "start()",
    "step()",
    "anchored",
    "smoothed",
    "fill(1)",
    "$",
    "!",
    "é",
    "99999y",
];

/// The text with one to three mistakes.
pub(super) fn broken(random: &mut Random, text: &str) -> String {
    let mut tokens: Vec<String> = tokens(text);
    for _ in 0..random.choose(&[1, 1, 1, 2, 3]) {
        let n = tokens.len();
        if n == 0 {
            break;
        }
        let at = random.below(n);
        match random.below(5) {
            0 => drop(tokens.remove(at)),
            1 => tokens.insert(at, random.pick(&EXTRA).to_owned()),
            2 => tokens.swap(at, (at + 1) % n),
            3 => tokens.insert(at, tokens[at].clone()),
            _ => tokens[at] = random.pick(&EXTRA).to_owned(),
        }
    }
    tokens.join(" ")
}

/// A text cut where tokens likely end.
fn tokens(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let end = match first {
            '"' | '\'' | '`' => rest[1..].find(first).map(|i| i + 2),
            c if word(c) => rest.find(|c| !word(c)),
            '=' | '!' | '<' | '>' => {
                let two = rest.get(..2).is_some_and(|t| t.ends_with(['=', '~', '/']));
                Some(if two { 2 } else { 1 })
            }
            c => Some(c.len_utf8()),
        };
        let (token, after) = rest.split_at(end.unwrap_or(rest.len()));
        if !first.is_whitespace() {
            all.push(token.to_owned());
        }
        rest = after;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_fall_into_tokens() {
        let text = "sum by (a) (foo_x{b!~\"a b\"}[5m:1s]) >= bool 1.5";
        let want = "sum by ( a ) ( foo_x { b !~ \"a b\" } [ 5m : 1s ] ) >= bool 1.5";
        assert_eq!(tokens(text).join(" "), want);
    }
}
