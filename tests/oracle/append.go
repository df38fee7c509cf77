package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// appendHandler takes a remote-write 2.0 request and appends it as a scrape
// would, start timestamps and reset hints included; the handler of remote write
// drops start timestamps. Series are made in the order of the request, so that
// a sender knows the order in which they are read.
func appendHandler(db *tsdb.DB) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := appendRequest(r, db); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

type sent struct {
	labels labels.Labels
	st, t  int64
	v      float64
	h      *histogram.Histogram
	fh     *histogram.FloatHistogram
}

func appendRequest(r *http.Request, db *tsdb.DB) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if body, err = snappy.Decode(nil, body); err != nil {
		return err
	}
	var request writev2.Request
	if err := request.Unmarshal(body); err != nil {
		return err
	}
	all, err := flatten(&request)
	if err != nil {
		return err
	}
	for _, s := range all {
		app := db.AppenderV2(r.Context())
		if _, err := app.Append(0, s.labels, s.st, s.t, s.v, s.h, s.fh, storage.AppendV2Options{}); err != nil {
			app.Rollback()
			return fmt.Errorf("append %s at %d: %w", s.labels, s.t, err)
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func flatten(request *writev2.Request) ([]sent, error) {
	var all []sent
	b := labels.NewScratchBuilder(0)
	for _, ts := range request.Timeseries {
		l, err := ts.ToLabels(&b, request.Symbols)
		if err != nil {
			return nil, err
		}
		for _, s := range ts.Samples {
			all = append(all, sent{labels: l, st: s.StartTimestamp, t: s.Timestamp, v: s.Value})
		}
		for _, h := range ts.Histograms {
			one := sent{labels: l, st: h.StartTimestamp, t: h.Timestamp}
			if h.IsFloatHistogram() {
				one.fh = h.ToFloatHistogram()
			} else {
				one.h = h.ToIntHistogram()
			}
			all = append(all, one)
		}
	}
	return all, nil
}
