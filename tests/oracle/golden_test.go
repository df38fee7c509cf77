package main

import (
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// TestGoldenChunks prints the bytes that crates/tsdb/src/tests/golden.rs
// holds: go test -run GoldenChunks -v .
func TestGoldenChunks(t *testing.T) {
	show := func(name string, c chunkenc.Chunk) { fmt.Printf("%s %x\n", name, c.Bytes()) }

	floats := chunkenc.NewXORChunk()
	app, _ := floats.Appender()
	at := int64(1_600_000_000_000)
	steps := []int64{0, 15_000, 15_000, 15_003, 14_000, 60_000, 500_000, 10_000_000, 1 << 40, 1}
	values := []float64{1, 1, 2, 0.1, math.NaN(), math.Inf(-1), math.Float64frombits(value.StaleNaN), -0.0, 1e300, 12345.678}
	for i, step := range steps {
		at += step
		app.Append(0, at, values[i])
	}
	show("floats", floats)

	ints := chunkenc.NewHistogramChunk()
	hist, _ := ints.Appender()
	for i := range int64(4) {
		h := exponentialHistogram(i + 1)
		_, _, hist, _ = hist.AppendHistogram(nil, 0, 1_600_000_000_000+i*i*15_000, h, true)
	}
	_, _, _, _ = hist.AppendHistogram(nil, 0, 1_600_001_000_000, &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}, true)
	show("exponential", ints)

	custom := chunkenc.NewFloatHistogramChunk()
	fhist, _ := custom.Appender()
	for i := range int64(3) {
		h := customHistogram(i + 1)
		h.CustomValues = []float64{-1, 0.005, 2.5, 33_554.43, 1e9}
		h.CounterResetHint = histogram.GaugeType
		_, _, fhist, _ = fhist.AppendFloatHistogram(nil, 0, -1_000+i*15_000, h.ToFloat(nil), true)
	}
	show("custom", custom)
}
