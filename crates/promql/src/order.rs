//! Sorting that can be left half way: a million series take a second to sort,
//! which nobody may wait for any more.

use std::cmp::Ordering;

/// Items that are sorted in one go; at 50 ns a comparison some milliseconds.
const RUN: usize = 1 << 13;

/// Sorts, and leaves equal items as they stand. `pause` is called after every
/// few milliseconds; its error ends it.
///
/// # Errors
/// Those of `pause`.
pub async fn sorted<T, E, F: Future<Output = Result<(), E>>>(
    mut items: Vec<T>,
    order: impl Fn(&T, &T) -> Ordering,
    mut pause: impl FnMut() -> F,
) -> Result<Vec<T>, E> {
    for run in items.chunks_mut(RUN) {
        pause().await?;
        run.sort_by(&order);
    }
    if items.len() <= RUN {
        return Ok(items);
    }
    let mut items = items.into_iter();
    let mut runs = Vec::new();
    while items.len() > 0 {
        runs.push(items.by_ref().take(RUN).collect::<Vec<T>>());
    }
    while runs.len() > 1 {
        let mut longer = Vec::with_capacity(runs.len().div_ceil(2));
        let mut each = runs.into_iter();
        while let Some(a) = each.next() {
            let b = each.next().unwrap_or_default();
            longer.push(merged(a, b, &order, &mut pause).await?);
        }
        runs = longer;
    }
    Ok(runs.pop().unwrap_or_default())
}

/// Two sorted runs as one.
async fn merged<T, E, F: Future<Output = Result<(), E>>>(
    a: Vec<T>,
    b: Vec<T>,
    order: &impl Fn(&T, &T) -> Ordering,
    pause: &mut impl FnMut() -> F,
) -> Result<Vec<T>, E> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        if out.len().is_multiple_of(RUN) {
            pause().await?;
        }
        let (Some(x), Some(y)) = (a.peek(), b.peek()) else { break };
        let next = if order(x, y) == Ordering::Greater { b.next() } else { a.next() };
        out.extend(next);
    }
    out.extend(a);
    out.extend(b);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures::executor::block_on;

    use super::*;

    #[test]
    fn it_sorts_and_keeps_equal_items_in_order() {
        for n in [0, 1, 5, RUN, RUN + 1, 5 * RUN + 3] {
            let items: Vec<(usize, usize)> = (0..n).map(|i| (i * 7919 % 1009, i)).collect();
            let mut expected = items.clone();
            expected.sort_by_key(|(key, _)| *key);
            let go_on = || ready(Ok::<_, ()>(()));
            let found = block_on(sorted(items, |a, b| a.0.cmp(&b.0), go_on));
            assert!(found == Ok(expected), "{n} items");
        }
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        let mut left = 20;
        let end = || {
            left -= 1;
            ready(if left > 0 { Ok(()) } else { Err("enough") })
        };
        let found = block_on(sorted((0..10 * RUN).rev().collect(), usize::cmp, end));
        assert_eq!(found, Err("enough"));
    }
}
