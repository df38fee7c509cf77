//! Histograms into frames.

use std::collections::HashMap;
use std::sync::Arc;

use varve_model::{Counts, Histogram, ResetHint};

use super::columns::Columns;
use super::layout::{self, Layout, Uses};
use super::{MAX_CELLS, MAX_FRAME, resets};
use crate::chunk::bits::{opening, put_varint};
use crate::chunk::runs::{self, Run};
use crate::chunk::{check_len, floats, ints};

/// Appends a column of histograms, bit exact but for the reset hints: of a
/// hint it is kept whether the histogram is a gauge, and for counters what a
/// comparison with the one before says.
///
/// # Panics
///
/// With more than [`MAX_CHUNK_SAMPLES`](crate::chunk::MAX_CHUNK_SAMPLES).
pub fn encode_histograms(values: &[Arc<Histogram>], out: &mut Vec<u8>) {
    check_len(values.len());
    out.push(opening(0));
    put_varint(out, values.len() as u64);
    let mut left = values;
    let mut before = None;
    while !left.is_empty() {
        let (frame, rest) = left.split_at(frame_len(left));
        encode_frame(before, frame, out);
        before = frame.last().map(AsRef::as_ref);
        left = rest;
    }
}

/// How many of `values` go into the next frame, at least one.
fn frame_len(values: &[Arc<Histogram>]) -> usize {
    let mut cells = 0;
    let fits = |h: &&Arc<Histogram>| {
        let (positive, negative) = layout::lens(h);
        let spans = h.positive_spans.len() + h.negative_spans.len();
        cells += layout::cells(spans, h.custom_bounds.len(), positive + negative);
        cells <= MAX_CELLS
    };
    values.iter().take(MAX_FRAME).take_while(fits).count().max(1)
}

fn encode_frame(before: Option<&Histogram>, frame: &[Arc<Histogram>], out: &mut Vec<u8>) {
    put_varint(out, frame.len() as u64);
    let (layouts, used) = layouts(frame);
    put_varint(out, layouts.len() as u64);
    for layout in &layouts {
        layout.encode(out);
    }
    for &(layout, len) in &used {
        put_varint(out, layout as u64);
        put_varint(out, len as u64);
    }
    runs::encode(&verdicts(before, frame), out, |out, hint| out.push(hint as u8));
    let sums: Vec<f64> = frame.iter().map(|h| h.sum).collect();
    floats::encode_inner(&sums, out);

    let columns = Columns::of(&layouts);
    let mut counts = Numbers::default();
    let mut zeros = Numbers::default();
    let mut buckets: Vec<Numbers> = columns.float.iter().map(|_| Numbers::default()).collect();
    let layout_of = used.iter().flat_map(|&(layout, len)| std::iter::repeat_n(layout, len));
    for (h, layout) in frame.iter().zip(layout_of) {
        let slots = &columns.slots[layout];
        match &h.counts {
            Counts::Int { count, zero, positive, negative } => {
                // The count is the sum of all buckets in nearly every histogram.
                let sum = positive.iter().chain(negative).fold(*zero, |a, b| a.wrapping_add(*b));
                counts.ints.push(count.wrapping_sub(sum) as i64);
                zeros.ints.push(*zero as i64);
                let sides = [(&slots.positive, positive), (&slots.negative, negative)];
                for (slots, side) in sides {
                    for (slot, v) in slots.iter().zip(side) {
                        buckets[*slot as usize].ints.push(*v as i64);
                    }
                }
            }
            Counts::Float { count, zero, positive, negative } => {
                counts.floats.push(*count);
                zeros.floats.push(*zero);
                let sides = [(&slots.positive, positive), (&slots.negative, negative)];
                for (slots, side) in sides {
                    for (slot, v) in slots.iter().zip(side) {
                        buckets[*slot as usize].floats.push(*v);
                    }
                }
            }
        }
    }
    counts.encode(out);
    zeros.encode(out);
    for column in &buckets {
        column.encode(out);
    }
}

/// The numbers of a column, of one kind or, for counts and zero buckets, of both.
#[derive(Default)]
struct Numbers {
    ints: Vec<i64>,
    floats: Vec<f64>,
}

impl Numbers {
    fn encode(&self, out: &mut Vec<u8>) {
        ints::encode(&self.ints, out);
        if !self.floats.is_empty() {
            floats::encode_inner(&self.floats, out);
        }
    }
}

/// The layouts in use, and runs of (layout, length).
fn layouts(frame: &[Arc<Histogram>]) -> (Vec<Layout>, Uses) {
    let mut layouts: Vec<Layout> = Vec::new();
    let mut known: HashMap<Layout, usize> = HashMap::new();
    let mut used = Uses::new();
    for h in frame {
        if let Some((layout, len)) = used.last_mut()
            && layouts[*layout].fits(h)
        {
            *len += 1;
            continue;
        }
        let layout = Layout::of(h);
        let number = *known.entry(layout).or_insert_with_key(|layout| {
            layouts.push(layout.clone());
            layouts.len() - 1
        });
        used.push((number, 1));
    }
    (layouts, used)
}

/// The runs of hints that are not what a reader takes for granted: that the
/// first counter of a chunk is unknown and all others have not been reset.
fn verdicts(before: Option<&Histogram>, frame: &[Arc<Histogram>]) -> Vec<Run> {
    let mut found = Vec::new();
    let mut last = before;
    for (i, h) in frame.iter().enumerate() {
        let hint = resets::verdict(last, h);
        let granted = match last {
            _ if hint == ResetHint::Gauge => ResetHint::Gauge,
            None => ResetHint::Unknown,
            Some(_) => ResetHint::NotCounterReset,
        };
        if hint != granted {
            runs::push(&mut found, i, hint as u64);
        }
        last = Some(h);
    }
    found
}
