package main

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"

	configutil "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

func parseURL(s string) (*configutil.URL, error) {
	u, err := url.Parse(s)
	return &configutil.URL{URL: u}, err
}

// generateHandler appends, for each step from start to end (milliseconds),
// one sample of each series in all(): floats, counters with resets and start
// timestamps, integer and float histograms with exponential and custom
// buckets, gauge histograms, exemplars, metadata, stale markers.
func generateHandler(db *tsdb.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var n [3]int64
		for i, name := range []string{"start", "end", "step"} {
			v, err := strconv.ParseInt(r.FormValue(name), 10, 64)
			if err != nil {
				http.Error(w, fmt.Sprintf("%s: %v", name, err), http.StatusBadRequest)
				return
			}
			n[i] = v
		}
		written, err := generate(r, db, n[0], n[1], n[2])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, written)
	}
}

func generate(r *http.Request, db *tsdb.DB, start, end, step int64) (int, error) {
	written := 0
	for t, i := start, int64(0); t <= end; t, i = t+step, i+1 {
		app := db.AppenderV2(r.Context())
		for _, s := range all(start, t, i) {
			_, err := app.Append(0, s.labels, s.st, t, s.v, s.h, s.fh, s.options)
			if err != nil {
				app.Rollback()
				return written, fmt.Errorf("append %s at %d: %w", s.labels, t, err)
			}
			written++
		}
		if err := app.Commit(); err != nil {
			return written, err
		}
	}
	return written, nil
}

type sample struct {
	labels  labels.Labels
	st      int64
	v       float64
	h       *histogram.Histogram
	fh      *histogram.FloatHistogram
	options storage.AppendV2Options
}

// all gives the i-th sample of every series, at time t; the run began at start.
func all(start, t, i int64) []sample {
	var out []sample
	add := func(name string, kind model.MetricType, s sample) {
		for job := range 2 {
			s := s
			s.labels = labels.FromStrings("__name__", name, "job", fmt.Sprintf("job-%d", job), "instance", "one:1")
			s.options.MetricFamilyName = name
			s.options.Metadata = metadata.Metadata{Type: kind, Help: "Help of " + name + ".", Unit: "units"}
			if s.h != nil {
				s.h = s.h.Copy()
			}
			if s.fh != nil {
				s.fh = s.fh.Copy()
			}
			out = append(out, s)
		}
	}
	trace := []exemplar.Exemplar{{
		Labels: labels.FromStrings("trace_id", fmt.Sprintf("trace-%d", i)),
		Value:  float64(i), Ts: t, HasTs: true,
	}}

	reset := i - i%20 // a counter reset every 20 samples
	st := start + (t-start)/max(i, 1)*reset - 1
	add("gen_counter_total", model.MetricTypeCounter, sample{v: float64(i-reset) * 3, st: st, options: storage.AppendV2Options{Exemplars: trace}})
	add("gen_gauge", model.MetricTypeGauge, sample{v: math.Sin(float64(i)/7) * 100})
	add("gen_decimal", model.MetricTypeGauge, sample{v: float64(i%13) / 10})
	if i%30 == 29 {
		add("gen_stale", model.MetricTypeGauge, sample{v: math.Float64frombits(value.StaleNaN)})
	} else {
		add("gen_stale", model.MetricTypeGauge, sample{v: float64(i)})
	}

	exponential := exponentialHistogram(i)
	add("gen_exponential", model.MetricTypeHistogram, sample{h: exponential, st: start - 1, options: storage.AppendV2Options{Exemplars: trace}})
	add("gen_exponential_float", model.MetricTypeHistogram, sample{fh: exponential.ToFloat(nil)})
	gauge := exponentialHistogram(i % 5)
	gauge.CounterResetHint = histogram.GaugeType
	add("gen_exponential_gauge", model.MetricTypeGaugeHistogram, sample{h: gauge})
	custom := customHistogram(i)
	add("gen_custom", model.MetricTypeHistogram, sample{h: custom})
	add("gen_custom_float", model.MetricTypeHistogram, sample{fh: custom.ToFloat(nil)})
	return out
}

func exponentialHistogram(i int64) *histogram.Histogram {
	n := uint64(i)
	return &histogram.Histogram{
		Schema: 2, ZeroThreshold: 0.001, ZeroCount: n, Count: n + 3*n + 2*n, Sum: float64(i) * 11.5,
		PositiveSpans:   []histogram.Span{{Offset: 0, Length: 2}, {Offset: 3, Length: 1}},
		PositiveBuckets: []int64{i, 0, 0},
		NegativeSpans:   []histogram.Span{{Offset: -2, Length: 2}},
		NegativeBuckets: []int64{i, 0},
	}
}

func customHistogram(i int64) *histogram.Histogram {
	n := uint64(i)
	return &histogram.Histogram{
		Schema: histogram.CustomBucketsSchema, Count: 6 * n, Sum: float64(i) * 4.25,
		PositiveSpans:   []histogram.Span{{Offset: 0, Length: 3}},
		PositiveBuckets: []int64{i, i, i},
		CustomValues:    []float64{0.5, 2.5, 10},
	}
}
