//! label_replace and label_join: other labels, the same samples.

use varve_model::METRIC_NAME;

use crate::engine::EngineError;
use crate::eval::context::Context;
use crate::eval::row::Batch;
use crate::eval::stream::{gather, merge_series};
use crate::plan::{LabelJoin, LabelReplace};

pub(crate) async fn replace(ctx: &Context<'_>, call: &LabelReplace) -> Result<Batch, EngineError> {
    let LabelReplace { arg, dst, replacement, src, regex } = call;
    let Batch { mut rows, hold } = gather(ctx, crate::eval::series(ctx, arg)).await?;
    for row in &mut rows {
        ctx.check()?;
        let Some(captures) = regex.captures(row.labels.get(src)) else { continue };
        let value = expand(replacement, regex, &captures);
        let mut builder = row.labels.builder();
        row.labels = builder.set(dst, &value).build();
        row.drop_name &= dst != METRIC_NAME;
    }
    Ok(Batch { rows: merge_series(rows)?, hold })
}

pub(crate) async fn join(ctx: &Context<'_>, call: &LabelJoin) -> Result<Batch, EngineError> {
    let LabelJoin { arg, dst, separator, src } = call;
    let Batch { mut rows, hold } = gather(ctx, crate::eval::series(ctx, arg)).await?;
    for row in &mut rows {
        ctx.check()?;
        let values: Vec<&str> = src.iter().map(|s| row.labels.get(s)).collect();
        let value = values.join(separator);
        let mut builder = row.labels.builder();
        row.labels = builder.set(dst, &value).build();
        row.drop_name &= dst != METRIC_NAME;
    }
    Ok(Batch { rows: merge_series(rows)?, hold })
}

/// Go's `Regexp.Expand`: `$1`, `$name`, `${name}`, `$$`. A name is the longest
/// run of letters, digits and underscores.
fn expand(template: &str, regex: &regex::Regex, captures: &regex::Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let braced = rest.strip_prefix('{');
        let body = braced.unwrap_or(rest);
        let end = body.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(body.len());
        let name = &body[..end];
        let closed = braced.is_none() || body[end..].starts_with('}');
        if name.is_empty() || !closed {
            // Malformed: the dollar stands for itself.
            out.push('$');
            continue;
        }
        rest = &body[end + usize::from(braced.is_some())..];
        let digits = name.bytes().all(|b| b.is_ascii_digit());
        let group = match digits && (name.len() == 1 || !name.starts_with('0')) {
            true => name.parse::<usize>().ok().and_then(|i| captures.get(i)),
            false => named(name, regex, captures),
        };
        out.push_str(group.map_or("", |g| g.as_str()));
    }
    out + rest
}

/// What the first group of a name has taken that has taken anything. The names
/// are those that `varve_model::compile_regex` gives: `_name`, `_name[1]`.
fn named<'h>(
    name: &str,
    regex: &regex::Regex,
    captures: &regex::Captures<'h>,
) -> Option<regex::Match<'h>> {
    let is_it = |group: Option<&str>| {
        let group = group.and_then(|g| g.strip_prefix('_')?.split('[').next());
        group == Some(name)
    };
    let groups = regex.capture_names().enumerate().filter(|(_, group)| is_it(*group));
    groups.map(|(i, _)| i).find_map(|i| captures.get(i))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_as_in_go() {
        let pattern = "(?P<first>a+)-(b+)(?P<x>c)?(?P<x>d)?(?P<0>)";
        let regex = varve_model::compile_regex(pattern).expect("valid pattern");
        let captures = regex.captures("aa-bd").expect("matches");
        let cases = [
            ("$1", "aa"),
            ("${2}x", "bx"),
            ("$1x", ""),
            ("$first-$2", "aa-b"),
            ("$x", "d"),
            ("$01", ""),
            ("$0", "aa-bd"),
            ("$$1", "$1"),
            ("$9", ""),
            ("a$", "a$"),
            ("${1", "${1"),
        ];
        for (template, expanded) in cases {
            assert_eq!(expand(template, &regex, &captures), expanded, "{template}");
        }
    }
}
