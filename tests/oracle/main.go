// Oracle is Prometheus 3.15 as a judge: its storage, engine and HTTP API, from
// its own Go module, behind one listener. Tests send it the samples that they
// send to Varve and hold Varve's answers against its answers.
//
//	oracle -listen 127.0.0.1:0 -dir DIR [-forward URL -forward-proto v1|v2] [-all-features] [-plain-chunks]
//
// It prints the address that it listens on as its first line. With -forward,
// Prometheus' own queue manager sends on what is stored. POST /generate
// appends a fixed set of series of every kind (see generate.go), POST /append
// what a test has made up (see append.go), POST /transcode codes remote-read
// chunks again (see transcode.go).
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"

	"syscall"
	"time"

	"github.com/grafana/regexp"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/notifications"
	api "github.com/prometheus/prometheus/web/api/v1"
)

type settings struct {
	listen, dir           string
	forward, forwardProto string
	allFeatures           bool
	plainChunks           bool
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:0", "address of the HTTP API")
	flag.StringVar(&s.dir, "dir", "", "folder for the storage")
	flag.StringVar(&s.forward, "forward", "", "remote-write URL to send everything on to")
	flag.StringVar(&s.forwardProto, "forward-proto", "v2", "remote-write protocol: v1 or v2")
	flag.BoolVar(&s.allFeatures, "all-features", false, "experimental language features, delayed name removal, start timestamps in rate")
	flag.BoolVar(&s.plainChunks, "plain-chunks", false, "store chunks that Prometheus 2 reads too; start timestamps are lost")
	flag.Parse()
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(s settings) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	registry := prometheus.NewRegistry()

	db, err := openStorage(s, logger, registry)
	if err != nil {
		return err
	}
	defer db.Close()

	if s.forward != "" {
		sender, err := startSender(s, logger, registry)
		if err != nil {
			return err
		}
		defer sender.Close()
		go notify(sender)
	}

	language := parser.NewParser(parser.Options{
		ExperimentalDurationExpr:     true,
		EnableExperimentalFunctions:  s.allFeatures,
		EnableExtendedRangeSelectors: s.allFeatures,
		EnableBinopFillModifiers:     s.allFeatures,
	})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:                   logger,
		Reg:                      registry,
		MaxSamples:               50_000_000,
		Timeout:                  2 * time.Minute,
		LookbackDelta:            5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnableDelayedNameRemoval: s.allFeatures,
		UseStartTimestamps:       s.allFeatures,
		Parser:                   language,
	})

	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", http.StripPrefix("/api/v1", routes(db, engine, language, listener.Addr().String(), logger, registry)))
	mux.HandleFunc("/generate", generateHandler(db))
	mux.HandleFunc("/transcode", transcodeHandler)
	mux.HandleFunc("/append", appendHandler(db))
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	fmt.Println(listener.Addr().String())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: mux}
	go func() { <-ctx.Done(); server.Close() }()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// openStorage keeps what Varve keeps: exemplars, start timestamps, metadata,
// and samples up to two hours out of order.
func openStorage(s settings, logger *slog.Logger, registry *prometheus.Registry) (*tsdb.DB, error) {
	options := tsdb.DefaultOptions()
	options.RetentionDuration = (20 * 365 * 24 * time.Hour).Milliseconds()
	options.OutOfOrderTimeWindow = (2 * time.Hour).Milliseconds()
	options.EnableExemplarStorage = true
	options.MaxExemplars = 1_000_000
	if !s.plainChunks {
		options.EnableSTStorage = true
		options.FloatChunkEncoding = chunkenc.EncXOR2
		options.EnableHistogramSTEncoding = true
	}
	options.EnableMetadataWALRecords = true
	return tsdb.Open(s.dir, logger, registry, options, nil)
}

func routes(db *tsdb.DB, engine *promql.Engine, language parser.Parser, address string, logger *slog.Logger, registry *prometheus.Registry) http.Handler {
	a := api.NewAPI(
		compactEngine{engine}, db, db, db, db,
		func(context.Context) api.ScrapePoolsRetriever { return nil },
		func(context.Context) api.TargetRetriever { return nil },
		func(context.Context) api.AlertmanagerRetriever { return nil },
		func() config.Config { return config.DefaultConfig },
		map[string]string{},
		api.GlobalURLOptions{ListenAddress: address, Host: address, Scheme: "http"},
		func(f http.HandlerFunc) http.HandlerFunc { return f },
		adminStats{db}, "", false, false, 10_000,
		logger,
		func(context.Context) api.RulesRetriever { return nil },
		50_000_000, 10, 1<<20,
		false,
		regexp.MustCompile(".*"),
		func() (api.RuntimeInfo, error) { return api.RuntimeInfo{}, nil },
		&api.PrometheusVersion{Version: "3.15.0"},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, func() {}, false },
		registry, registry, nil,
		true, remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType},
		false, false, false, false,
		5*time.Minute,
		false, true,
		nil, nil,
		api.OpenAPIOptions{ExternalURL: "http://" + address},
		language,
	)
	router := route.New()
	a.Register(router)
	return router
}

// adminStats is the storage as the API's status pages want it.
type adminStats struct{ *tsdb.DB }

func (a adminStats) Stats(label string, limit int) (*tsdb.Stats, error) {
	return a.Head().Stats(label, limit), nil
}

func (a adminStats) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

func (a adminStats) BlockMetas() ([]tsdb.BlockMeta, error) { return nil, nil }

// startSender makes Prometheus' queue manager follow the storage's log.
func startSender(s settings, logger *slog.Logger, registry *prometheus.Registry) (*remote.Storage, error) {
	sender := remote.NewStorage(logger, registry, func() (int64, error) { return 0, nil }, s.dir, 5*time.Second, nil, false)
	write := config.DefaultRemoteWriteConfig
	target, err := parseURL(s.forward)
	if err != nil {
		return nil, err
	}
	write.URL = target
	write.SendExemplars = true
	write.SendNativeHistograms = true
	write.ProtobufMessage = remoteapi.WriteV2MessageType
	if s.forwardProto == "v1" {
		write.ProtobufMessage = remoteapi.WriteV1MessageType
	}
	write.QueueConfig.BatchSendDeadline = model.Duration(200 * time.Millisecond)
	all := config.DefaultConfig
	all.RemoteWriteConfigs = []*config.RemoteWriteConfig{&write}
	return sender, sender.ApplyConfig(&all)
}

// notify wakes the log watcher, which otherwise looks every few seconds.
func notify(sender *remote.Storage) {
	for range time.Tick(200 * time.Millisecond) {
		sender.Notify()
	}
}
