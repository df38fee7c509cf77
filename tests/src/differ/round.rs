//! A round: many queries over the data of one seed, asked of both; every
//! difference is shrunk to the smallest expression that shows it.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use varve_promql::ast::ExprKind;
use varve_promql::parse::{Options, parse_expr};

use super::answer::{Difference, Order, has_data, same, same_places, tie, within_spread};
use super::court::{Court, client};
use super::coverage::Coverage;
use super::data::Data;
use super::nudge::{apart, nudged};
use super::query::{Query, parts};
use crate::client::Client;
use crate::http::Response;

/// How often the judge is asked the same again.
const AGAIN: usize = 12;

/// What a round has shown.
#[derive(Debug, Default)]
pub struct Report {
    /// Queries asked.
    pub asked: u64,
    /// Answers that held something.
    pub with_data: u64,
    /// Queries that both refused alike.
    pub refused: u64,
    /// Answers within the spread of the judge's own.
    pub spread: u64,
    /// Answers that took another of equal elements.
    pub ties: u64,
    /// What of the language was asked.
    pub coverage: Coverage,
    /// Queries that differ.
    pub findings: Vec<Finding>,
}

/// A query that Varve answers in another way than the judge.
#[derive(Debug)]
pub struct Finding {
    /// The seed of its data.
    pub seed: u64,
    /// Its number within the seed.
    pub number: u64,
    /// Whether mistakes were put into it.
    pub broken: bool,
    /// As it was asked.
    pub query: Query,
    /// Its smallest part that differs.
    pub smallest: Query,
    /// How that differs.
    pub what: String,
}

impl Report {
    /// Adds another round's.
    pub fn merge(&mut self, other: Self) {
        self.asked += other.asked;
        self.with_data += other.with_data;
        self.refused += other.refused;
        self.spread += other.spread;
        self.ties += other.ties;
        self.coverage.merge(&other.coverage);
        self.findings.extend(other.findings);
    }

    /// One line of figures.
    pub fn summary(&self) -> String {
        format!(
            "{} queries, {:.1} % with data, {} refused alike, {} within the judge's spread, {} ties, {} differ",
            self.asked,
            self.with_data as f64 * 100.0 / self.asked.max(1) as f64,
            self.refused,
            self.spread,
            self.ties,
            self.findings.len()
        )
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Query { text, start, end, step, lookback } = &self.smallest;
        writeln!(f, "{text}")?;
        writeln!(f, "  start {start} end {end} step {step} lookback {lookback:?} (ms)")?;
        writeln!(f, "  {}", self.what.replace('\n', "\n  "))?;
        writeln!(f, "  part of: {}", self.query.text)?;
        let broken = if self.broken { " --broken" } else { "" };
        write!(f, "  replay: varve-differ --seed {} --query {}{broken}", self.seed, self.number)
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Round {
    /// The seed of data and queries.
    pub seed: u64,
    /// The numbers of the queries.
    pub numbers: Range<u64>,
    /// What of the language.
    pub options: Options,
    /// Queries with mistakes rather than valid ones.
    pub broken: bool,
    /// How many are asked at once.
    pub threads: usize,
}

impl Round {
    fn query(&self, data: &Data, number: u64) -> Query {
        let make = if self.broken { Query::broken } else { Query::random };
        make(data, self.seed, number, &self.options)
    }
}

/// Asks the queries of a round over its data, which both hold.
pub fn ask(court: &Court<'_>, data: &Data, round: &Round) -> Report {
    let Round { numbers, options, threads, .. } = round;
    let next = AtomicU64::new(numbers.start);
    let whole = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..*threads {
            scope.spawn(|| {
                let asker = Asker { court, client: client(), options };
                let mut report = Report::default();
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    if number >= numbers.end {
                        break;
                    }
                    asker.check(round, number, round.query(data, number), &mut report);
                }
                whole.lock().unwrap_or_else(std::sync::PoisonError::into_inner).merge(report);
            });
        }
    });
    let mut report = whole.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.findings.sort_by_key(|f| f.number);
    report
}

/// What came of holding two answers against each other.
enum Verdict {
    Equal,
    Spread,
    Differs(Difference),
}

struct Asker<'a> {
    court: &'a Court<'a>,
    client: Client,
    options: &'a Options,
}

impl Asker<'_> {
    fn ask(&self, url: &str, query: &Query) -> Response {
        let (path, params) = query.request();
        let params: Vec<(&str, &str)> = params.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.client.post_form(&format!("{url}{path}"), &params)
    }

    fn both(&self, query: &Query) -> (Response, Response) {
        (self.ask(&self.court.ours.url, query), self.ask(&self.court.judge.url, query))
    }

    fn order(&self, query: &Query) -> Order {
        parse_expr(&query.text, self.options).map_or(Order::Free, |e| Order::of(&e))
    }

    fn verdict(&self, query: &Query, ours: &Response, judge: &Response) -> Verdict {
        let order = self.order(query);
        let Err(difference) = same(ours, judge, order) else { return Verdict::Equal };
        let mut jury: Vec<Response> =
            self.court.jury().iter().map(|url| self.ask(url, query)).collect();
        let expr = parse_expr(&query.text, self.options);
        for text in expr.iter().flat_map(nudged) {
            jury.push(self.ask(&self.court.judge.url, &Query { text, ..query.clone() }));
        }
        // What moves results apart may lose samples that it cannot pair.
        for text in expr.iter().flat_map(apart) {
            let answer = self.ask(&self.court.judge.url, &Query { text, ..query.clone() });
            if same_places(judge, &answer) {
                jury.push(answer);
            }
        }
        if within_spread(ours, judge, &jury, order, &difference) {
            return Verdict::Spread;
        }
        // The judge gathers some series in a hash map (those of a range query,
        // of `count_values`, of classic histograms), and goes through them in
        // another order when it is asked again.
        let again: Vec<Response> =
            (0..AGAIN).map(|_| self.ask(&self.court.judge.url, query)).collect();
        jury.extend(again.iter().cloned());
        let held = |judge: &Response| match same(ours, judge, order) {
            Ok(()) => true,
            Err(difference) => within_spread(ours, judge, &jury, order, &difference),
        };
        if held(judge) || again.iter().any(held) {
            return Verdict::Spread;
        }
        Verdict::Differs(difference)
    }

    fn check(&self, round: &Round, number: u64, query: Query, report: &mut Report) {
        let (ours, judge) = self.both(&query);
        let has_data = has_data(&judge);
        report.asked += 1;
        report.with_data += u64::from(has_data);
        if let Ok(expr) = parse_expr(&query.text, self.options) {
            report.coverage.add(&expr, has_data);
        }
        match self.verdict(&query, &ours, &judge) {
            Verdict::Equal if judge.status != 200 => report.refused += 1,
            Verdict::Equal => {}
            Verdict::Spread => report.spread += 1,
            Verdict::Differs(difference) => {
                let (smallest, difference) = self.shrink(&query, difference);
                if self.is_tie(&smallest) {
                    report.ties += 1;
                    return;
                }
                let what = difference.what;
                let (seed, broken) = (round.seed, round.broken);
                report.findings.push(Finding { seed, number, broken, query, smallest, what });
            }
        }
    }

    /// The smallest part of a query that differs, at one step if it does there.
    fn shrink(&self, query: &Query, difference: Difference) -> (Query, Difference) {
        let mut smallest = (query.clone(), difference);
        let Ok(expr) = parse_expr(&query.text, self.options) else { return smallest };
        let mut texts: Vec<String> = parts(&expr).into_iter().map(ToString::to_string).collect();
        texts.sort_by_key(String::len);
        for text in texts {
            if text.len() >= query.text.len() {
                break;
            }
            let part = Query { text, ..query.clone() };
            if let Some(difference) = self.differs(&part) {
                smallest = (part, difference);
                break;
            }
        }
        if smallest.0.step > 0 {
            let Query { start, end, step, .. } = smallest.0;
            for time in (start..=end).step_by(step as usize) {
                let once = Query { start: time, end: time, step: 0, ..smallest.0.clone() };
                if let Some(difference) = self.differs(&once) {
                    return (once, difference);
                }
            }
        }
        smallest
    }

    fn differs(&self, query: &Query) -> Option<Difference> {
        let (ours, judge) = self.both(query);
        match self.verdict(query, &ours, &judge) {
            Verdict::Differs(difference) => Some(difference),
            Verdict::Equal | Verdict::Spread => None,
        }
    }

    fn is_tie(&self, query: &Query) -> bool {
        let Ok(expr) = parse_expr(&query.text, self.options) else { return false };
        let ExprKind::Aggregate(a) = &expr.kind else { return false };
        use varve_promql::ast::AggregateOp::{Bottomk, Limitk, Topk};
        if !matches!(a.op, Topk | Bottomk | Limitk) {
            return false;
        }
        let (ours, judge) = self.both(query);
        let input =
            self.ask(&self.court.judge.url, &Query { text: a.expr.to_string(), ..query.clone() });
        tie(a.op, &ours, &judge, &input)
    }
}
