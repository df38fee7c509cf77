package main

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// compactEngine sees native histograms without empty buckets. All histograms
// of one of Prometheus' chunks have the buckets of any of them, so that which
// empty buckets a histogram has depends on where chunks were cut, and with them
// some answers: `==`, `changes`, a multiplication by Inf, quantiles within the
// zero bucket. Varve leaves empty buckets out, too.
type compactEngine struct{ promql.QueryEngine }

func (e compactEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, text string, ts time.Time) (promql.Query, error) {
	return e.QueryEngine.NewInstantQuery(ctx, compactQueryable{q}, opts, text, ts)
}

func (e compactEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, text string, start, end time.Time, step time.Duration) (promql.Query, error) {
	return e.QueryEngine.NewRangeQuery(ctx, compactQueryable{q}, opts, text, start, end, step)
}

type compactQueryable struct{ storage.Queryable }

func (q compactQueryable) Querier(mint, maxt int64) (storage.Querier, error) {
	querier, err := q.Queryable.Querier(mint, maxt)
	return compactQuerier{querier}, err
}

type compactQuerier struct{ storage.Querier }

func (q compactQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return compactSet{q.Querier.Select(ctx, sorted, hints, matchers...)}
}

type compactSet struct{ storage.SeriesSet }

func (s compactSet) At() storage.Series { return compactSeries{s.SeriesSet.At()} }

type compactSeries struct{ storage.Series }

func (s compactSeries) Iterator(before chunkenc.Iterator) chunkenc.Iterator {
	if c, ok := before.(*compactIterator); ok {
		before = c.Iterator
	}
	return &compactIterator{s.Series.Iterator(before)}
}

type compactIterator struct{ chunkenc.Iterator }

func (it *compactIterator) AtHistogram(into *histogram.Histogram) (int64, *histogram.Histogram) {
	t, h := it.Iterator.AtHistogram(into)
	if into == nil {
		h = h.Copy() // Its slices are the iterator's own.
	}
	return t, h.Compact(0)
}

func (it *compactIterator) AtFloatHistogram(into *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	t, h := it.Iterator.AtFloatHistogram(into)
	if into == nil {
		h = h.Copy() // Its slices are the iterator's own.
	}
	return t, h.Compact(0)
}
