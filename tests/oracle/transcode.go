package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// transcodeHandler takes a body of streamed remote-read frames, decodes every
// chunk with Prometheus' own decoder, codes its samples again with Prometheus'
// own appender, and answers with the same frames around those bytes. What an
// appender would not put into one chunk is an error.
func transcodeHandler(w http.ResponseWriter, r *http.Request) {
	reader := remote.NewChunkedReader(r.Body, 64<<20, nil)
	var answer bytes.Buffer
	writer := remote.NewChunkedWriter(&answer, w.(http.Flusher))
	for {
		var response prompb.ChunkedReadResponse
		err := reader.NextProto(&response)
		if errors.Is(err, io.EOF) {
			w.Write(answer.Bytes())
			return
		}
		if err == nil {
			err = transcodeAll(&response)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		message, err := response.Marshal()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := writer.Write(message); err != nil {
			return
		}
	}
}

func transcodeAll(response *prompb.ChunkedReadResponse) error {
	for _, series := range response.ChunkedSeries {
		for i := range series.Chunks {
			chunk := &series.Chunks[i]
			data, err := transcode(chunkenc.Encoding(chunk.Type), chunk.Data)
			if err != nil {
				return fmt.Errorf("series %v, chunk %d: %w", series.Labels, i, err)
			}
			chunk.Data = data
		}
	}
	return nil
}

func transcode(encoding chunkenc.Encoding, data []byte) ([]byte, error) {
	chunk, err := chunkenc.FromData(encoding, data)
	if err != nil {
		return nil, err
	}
	again, err := chunkenc.NewEmptyChunk(encoding)
	if err != nil {
		return nil, err
	}
	appender, err := again.Appender()
	if err != nil {
		return nil, err
	}
	isGauge := encoding != chunkenc.EncXOR && chunkenc.CounterResetHeader(data[2]) == chunkenc.GaugeType
	it := chunk.Iterator(nil)
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		switch kind {
		case chunkenc.ValFloat:
			t, v := it.At()
			appender.Append(0, t, v)
		case chunkenc.ValHistogram:
			t, h := it.AtHistogram(nil)
			if isGauge {
				h.CounterResetHint = histogram.GaugeType
			}
			_, _, appender, err = appender.AppendHistogram(nil, 0, t, h, true)
		case chunkenc.ValFloatHistogram:
			t, h := it.AtFloatHistogram(nil)
			if isGauge {
				h.CounterResetHint = histogram.GaugeType
			}
			_, _, appender, err = appender.AppendFloatHistogram(nil, 0, t, h, true)
		}
		if err != nil {
			return nil, err
		}
	}
	if it.Err() != nil {
		return nil, it.Err()
	}
	// The verdict on a reset comes from outside of a chunk.
	if encoding != chunkenc.EncXOR {
		again.Bytes()[2] = data[2]
	}
	return again.Bytes(), nil
}
