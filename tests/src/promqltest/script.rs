//! The language of the scripts: `clear`, `load`, `eval`, and what they expect.
//!
//! Source of the rules: Prometheus, promql/promqltest (README.md and test.go).

use regex::Regex;
use varve_model::Labels;
use varve_promql::parse::{SequenceValue, parse_duration, parse_series_desc};

/// One command.
pub(crate) enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// Series that are stored.
pub(crate) struct Load {
    /// Milliseconds between samples.
    pub(crate) gap: i64,
    /// Whether classic histograms are also stored as native ones.
    pub(crate) with_nhcb: bool,
    pub(crate) series: Vec<LoadedSeries>,
}

/// One series of a load.
pub(crate) struct LoadedSeries {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<SequenceValue>,
    /// Start timestamps relative to the samples, in milliseconds.
    pub(crate) starts: Vec<Option<i64>>,
}

/// When a query is evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// A query and what is expected of it.
pub(crate) struct Eval {
    pub(crate) line: usize,
    pub(crate) expr: String,
    pub(crate) when: When,
    pub(crate) ordered: bool,
    pub(crate) fail: bool,
    /// At least one is expected, whichever.
    pub(crate) warn: bool,
    pub(crate) info: bool,
    pub(crate) fail_pattern: Option<Pattern>,
    pub(crate) warnings: Vec<Pattern>,
    pub(crate) infos: Vec<Pattern>,
    pub(crate) no_warn: bool,
    pub(crate) no_info: bool,
    pub(crate) expected: Expected,
    /// Set by `expect range vector`: the times of the values.
    pub(crate) matrix: Option<(i64, i64, i64)>,
}

/// The expected answer.
pub(crate) enum Expected {
    Scalar(f64),
    String(String),
    Series(Vec<(Labels, Vec<SequenceValue>)>),
}

/// An expected text.
pub(crate) enum Pattern {
    Any,
    Exact(String),
    Matches(Regex),
}

impl Pattern {
    pub(crate) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(t) => t == text,
            Self::Matches(r) => r.is_match(text),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Exact(t) => f.write_str(t),
            Self::Matches(r) => f.write_str(r.as_str()),
        }
    }
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut commands = Vec::new();
    let mut i = 0;
    while i < lines.len() {
        let line = lines[i];
        let word = line.split([' ', '\t']).next().unwrap_or("").to_lowercase();
        let end = (i + 1..lines.len()).find(|j| lines[*j].is_empty()).unwrap_or(lines.len());
        let fail = |e: String| format!("line {}: {e}", i + 1);
        match word.as_str() {
            "" => {}
            "clear" => commands.push(Command::Clear),
            w if w.starts_with("load") => {
                commands.push(Command::Load(load(line, &lines[i + 1..end]).map_err(fail)?));
                i = end;
            }
            w if w.starts_with("eval") => {
                let (eval, used) = eval(line, i + 1, &lines[i + 1..end]).map_err(fail)?;
                commands.push(Command::Eval(Box::new(eval)));
                i += used;
            }
            w => return Err(fail(format!("unknown command {w:?}"))),
        }
        i += 1;
    }
    Ok(commands)
}

fn duration(text: &str) -> Result<i64, String> {
    parse_duration(text).ok_or_else(|| format!("{text:?} is not a duration"))
}

fn load(line: &str, body: &[&str]) -> Result<Load, String> {
    let parts = regex(r"^load(?:_(with_nhcb))?\s+(.+?)$").captures(line);
    let parts = parts.ok_or("load needs a step")?;
    let mut load =
        Load { gap: duration(&parts[2])?, with_nhcb: parts.get(1).is_some(), series: vec![] };
    let mut starts: Option<(Labels, Vec<Option<i64>>)> = None;
    for line in body {
        let head = line.split([' ', '\t']).next().unwrap_or("");
        if let Some(metric) = head.strip_suffix("@st") {
            let (labels, _) = series(&format!("{metric} _"))?;
            starts = Some((labels, start_sequence(&line[head.len()..])?));
            continue;
        }
        let (labels, values) = series(line)?;
        let starts = match starts.take() {
            Some((of, starts)) if of == labels && starts.len() == values.len() => starts,
            Some(_) => return Err("@st does not fit the line after it".to_owned()),
            None => Vec::new(),
        };
        load.series.push(LoadedSeries { labels, values, starts });
    }
    Ok(load)
}

fn series(line: &str) -> Result<(Labels, Vec<SequenceValue>), String> {
    parse_series_desc(line).map_err(|e| format!("{line}: {e}"))
}

/// `_`, `_x3`, `-1m`, `-1mx3`, `-1m+10sx3`
fn start_sequence(text: &str) -> Result<Vec<Option<i64>>, String> {
    let pattern = regex(r"^([+-]?)(\d+[a-w]*)(?:([+-])(\d+[a-w]*))?(?:x(\d+))?$");
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        if let Some(times) = item.strip_prefix('_') {
            let n = times.strip_prefix('x').map_or(Ok(1), str::parse);
            let n: usize = n.map_err(|_| format!("{item:?} is not a start"))?;
            out.extend(std::iter::repeat_n(None, n));
            continue;
        }
        let parts = pattern.captures(item).ok_or_else(|| format!("{item:?} is not a start"))?;
        let signed =
            |sign: &str, text: &str| duration(text).map(|d| if sign == "-" { -d } else { d });
        let base = signed(&parts[1], &parts[2])?;
        let step = match parts.get(4) {
            Some(step) => signed(&parts[3], step.as_str())?,
            None => 0,
        };
        let n: i64 = parts.get(5).map_or(0, |n| n.as_str().parse().unwrap_or(0));
        out.extend((0..=n).map(|i| Some(base + i * step)));
    }
    Ok(out)
}

/// Returns the evaluation and how many lines of the body belong to it.
fn eval(line: &str, number: usize, body: &[&str]) -> Result<(Eval, usize), String> {
    let instant = regex(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$");
    let range = regex(
        r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$",
    );
    let (modifier, expr, when) = if let Some(p) = instant.captures(line) {
        let at = p.get(2).map_or(Ok(0), |at| duration(at.as_str()))?;
        (p.get(1).map(|m| m.as_str().to_owned()), p[3].to_owned(), When::Instant(at))
    } else if let Some(p) = range.captures(line) {
        let (start, end, step) = (duration(&p[2])?, duration(&p[3])?, duration(&p[4])?);
        let when = When::Range { start, end, step };
        (p.get(1).map(|m| m.as_str().to_owned()), p[5].to_owned(), when)
    } else {
        return Err("eval is neither instant nor range".to_owned());
    };
    let modifier = modifier.unwrap_or_default();
    let mut eval = Eval {
        line: number,
        expr,
        when,
        ordered: modifier == "ordered",
        fail: modifier == "fail",
        warn: modifier == "warn",
        info: modifier == "info",
        fail_pattern: None,
        warnings: vec![],
        infos: vec![],
        no_warn: false,
        no_info: false,
        expected: Expected::Series(vec![]),
        matrix: None,
    };
    for (i, line) in body.iter().enumerate() {
        if eval.fail {
            if let Some(text) = line.strip_prefix("expected_fail_message") {
                eval.fail_pattern = Some(Pattern::Exact(text.trim().to_owned()));
                return Ok((eval, i + 1));
            }
            if let Some(text) = line.strip_prefix("expected_fail_regexp") {
                eval.fail_pattern = Some(Pattern::Matches(regex(text.trim())));
                return Ok((eval, i + 1));
            }
        }
        if let Some(times) = line.strip_prefix("expect range vector") {
            let p = regex(r"^\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$").captures(times);
            let p = p.ok_or("expect range vector needs times")?;
            eval.matrix = Some((duration(&p[1])?, duration(&p[2])?, duration(&p[3])?));
        } else if let Some(text) = line.strip_prefix("expect string ") {
            eval.expected = Expected::String(unquote(text)?);
        } else if line.split(' ').next() == Some("expect") {
            expect(line, &mut eval)?;
        } else if let Some(v) = number_of(line) {
            eval.expected = Expected::Scalar(v);
            return Ok((eval, i + 1));
        } else {
            let described = series(line)?;
            if let Expected::Series(all) = &mut eval.expected {
                all.push(described);
            }
        }
    }
    Ok((eval, body.len()))
}

fn expect(line: &str, eval: &mut Eval) -> Result<(), String> {
    let pattern =
        regex(r"^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$");
    let p = pattern.captures(line).ok_or_else(|| format!("{line:?} is not understood"))?;
    let text = match (p.get(2).map(|m| m.as_str()), p.get(3).map(|m| m.as_str().trim())) {
        (Some("msg"), Some(t)) => Pattern::Exact(t.to_owned()),
        (Some(_), Some(t)) => Pattern::Matches(regex(t)),
        _ => Pattern::Any,
    };
    match &p[1] {
        "ordered" => eval.ordered = true,
        "fail" => {
            eval.fail = true;
            eval.fail_pattern = Some(text);
        }
        "warn" => eval.warnings.push(text),
        "no_warn" => eval.no_warn = true,
        "info" => eval.infos.push(text),
        _ => eval.no_info = true,
    }
    Ok(())
}

/// Go's `ParseInt` with base 0, or `ParseFloat`.
fn number_of(text: &str) -> Option<f64> {
    let hex = text.strip_prefix("0x").and_then(|t| i64::from_str_radix(t, 16).ok());
    hex.map(|v| v as f64).or_else(|| text.parse().ok())
}

fn unquote(text: &str) -> Result<String, String> {
    let options = varve_promql::parse::Options::all();
    let expr = varve_promql::parse::parse_expr(text, &options).map_err(|e| e.to_string())?;
    match expr.kind {
        varve_promql::ast::ExprKind::String(s) => Ok(String::from_utf8_lossy(&s).into_owned()),
        _ => Err(format!("{text} is not a string")),
    }
}
