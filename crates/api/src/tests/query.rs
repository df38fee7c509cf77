//! Queries: parameters, results, errors.

use super::{error, fixture, get, ok, post_form};

const VECTOR: &str = "{\"resultType\":\"vector\",\"result\":[\
    {\"metric\":{\"__name__\":\"a\"},\"value\":[1.500,\"1.5\"]},\
    {\"metric\":{\"__name__\":\"b\"},\"histogram\":[1.500,{\"count\":\"2\",\"sum\":\"5\",\
    \"buckets\":[[0,\"1\",\"2\",\"2\"]]}]}]}";

#[tokio::test]
async fn results_look_like_prometheus() {
    let (router, seen) = fixture();
    let cases = [
        ("query=up&time=1.5", VECTOR),
        ("query=scalar(x)&time=60", "{\"resultType\":\"scalar\",\"result\":[60,\"-Inf\"]}"),
        ("query=%22text%22&time=60", "{\"resultType\":\"string\",\"result\":[60,\"te\\\"xt\"]}"),
    ];
    for (params, want) in cases {
        for got in [
            get(&router, &format!("/api/v1/query?{params}")).await,
            post_form(&router, "/api/v1/query", params).await,
            get(&router, &format!("/prometheus/api/v1/query?{params}")).await,
        ] {
            assert_eq!((got.status.as_u16(), got.body), (200, ok(want)), "{params}");
            assert_eq!(got.headers["content-type"], "application/json");
            assert_eq!(got.headers["x-varve-coverage"], "{\"complete\":true}");
        }
    }
    get(&router, "/api/v1/query?query=sum(up)by(a)&timeout=1m&lookback_delta=30").await;
    let want =
        "anonymous instant sum by (a) (up) at 1700000000123 timeout Some(60s) lookback Some(30s)";
    assert_eq!(seen.last(), want);
}

#[tokio::test]
async fn range_results_have_values_and_histograms() {
    let (router, seen) = fixture();
    let params = "query=up&start=1970-01-01T00:00:01Z&end=61.5&step=15s";
    let got = post_form(&router, "/api/v1/query_range", params).await;
    let series = |name| {
        format!(
            "{{\"metric\":{{\"__name__\":\"{name}\",\"l\":\"v\"}},\
             \"values\":[[1,\"1\"],[2.500,\"NaN\"]],\
             \"histograms\":[[3,{{\"count\":\"2\",\"sum\":\"5\",\"buckets\":[[0,\"1\",\"2\",\"2\"]]}}]]}}"
        )
    };
    let want =
        format!("{{\"resultType\":\"matrix\",\"result\":[{},{}]}}", series("a"), series("b"));
    assert_eq!(got.body, ok(&want));
    assert_eq!(seen.last(), "anonymous range up from 1000 to 61500 step 15000");
    let got = get(&router, &format!("/api/v1/query_range?{params}&limit=1")).await;
    let want = format!(
        "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{}]}},\"warnings\":[\"results truncated due to limit\"]}}",
        series("a")
    );
    assert_eq!(got.body, want);
}

#[tokio::test]
async fn plans_are_shown() {
    let (router, seen) = fixture();
    let cost = |series| {
        format!(
            "{{\"bytes\":9,\"memoryBytes\":64,\"requests\":1,\"samples\":8,\
             \"seconds\":0.25,\"series\":{series}}}"
        )
    };
    let plan = format!(
        "{{\"end\":2,\"estimated\":{},\"measured\":{},\"operator\":\"select\",\"parts\":[],\
         \"start\":0,\"steps\":1,\"text\":\"up\"}}",
        cost(2),
        cost(1)
    );
    let range = "query=up&start=1&end=61&step=15";
    let cases = [
        ("query?query=up&explain=true", "explain up step 0"),
        (&*format!("query_range?{range}&explain=1"), "explain up step 15000"),
    ];
    for (params, asked) in cases {
        let got = get(&router, &format!("/api/v1/{params}")).await;
        assert_eq!((got.status.as_u16(), got.body), (200, ok(&format!("{{\"explain\":{plan}}}"))));
        assert_eq!(seen.last(), format!("anonymous {asked}"));
    }
    // With both, there is an answer, too.
    for params in ["analyze=true", "analyze=1&explain=true"] {
        let got = get(&router, &format!("/api/v1/query?query=up&time=1.5&{params}")).await;
        let (answer, _) = VECTOR.rsplit_once('}').expect("an object");
        assert_eq!(got.body, ok(&format!("{answer},\"analysis\":{plan}}}")), "{params}");
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (router, seen) = fixture();
    let query = "/api/v1/query?query=up";
    let range = "/api/v1/query_range?query=up";
    let cases = [
        (
            format!("{query}&time=x"),
            "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
        ),
        (
            format!("{query}&limit=x"),
            "invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        (format!("{query}&limit=-1"), "invalid parameter \"limit\": limit must be non-negative"),
        (
            format!("{query}&timeout=x"),
            "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
        ),
        (
            format!("{query}&lookback_delta=x"),
            "error parsing lookback delta duration: cannot parse \"x\" to a valid duration",
        ),
        (
            format!("{query}&explain=x"),
            "invalid parameter \"explain\": cannot parse \"x\" as true or false",
        ),
        (
            "/api/v1/query".to_owned(),
            "invalid parameter \"query\": unknown position: parse error: no expression found in input",
        ),
        (
            "/api/v1/query?query=up%5B5m".to_owned(),
            "invalid parameter \"query\": 1:6: parse error: unclosed left bracket",
        ),
        (range.to_owned(), "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"),
        (
            format!("{range}&start=2&end=1&step=1"),
            "invalid parameter \"end\": end timestamp must not be before start time",
        ),
        (
            format!("{range}&start=1&end=2&step=0"),
            "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
        ),
        (
            format!("{range}&start=1&end=2&step=x"),
            "invalid parameter \"step\": cannot parse \"x\" to a valid duration",
        ),
        (
            format!("{range}&start=0&end=11001&step=1"),
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "/api/v1/format_query?query=1%2B".to_owned(),
            "invalid parameter \"query\": 1:3: parse error: unexpected end of input",
        ),
        (
            "/api/v1/query_exemplars?query=1%2B".to_owned(),
            "1:3: parse error: unexpected end of input",
        ),
        (
            "/api/v1/query_exemplars?query=up&start=2&end=1".to_owned(),
            "end timestamp must not be before start timestamp",
        ),
    ];
    for (uri, want) in cases {
        let got = get(&router, &uri).await;
        assert_eq!((got.status.as_u16(), got.body), (400, error("bad_data", want)), "{uri}");
    }
    assert_eq!(seen.count(), 0);
    let fits = get(&router, &format!("{range}&start=0&end=11000&step=1")).await;
    assert_eq!(fits.status.as_u16(), 200);
}

#[tokio::test]
async fn errors_have_prometheus_types() {
    let (router, _) = fixture();
    let cases = [
        ("err_execution", 422, "execution"),
        ("err_timeout", 503, "timeout"),
        ("err_canceled", 499, "canceled"),
        ("err_internal", 500, "internal"),
        ("err_unavailable", 503, "unavailable"),
        ("err_limited", 429, "too_many_requests"),
    ];
    for (query, status, kind) in cases {
        let got = get(&router, &format!("/api/v1/query?query={query}")).await;
        assert_eq!((got.status.as_u16(), got.body), (status, error(kind, query)));
    }
    let got = get(&router, "/api/v1/query?query=err_panic").await;
    assert_eq!((got.status.as_u16(), got.body), (500, error("internal", "internal error")));
    let got = get(&router, "/api/v1/nonsense").await;
    assert_eq!(
        (got.status.as_u16(), got.body),
        (404, error("not_found", "there is no such route"))
    );
}

#[tokio::test]
async fn annotations_are_capped_and_stats_are_given() {
    let (router, _) = fixture();
    let got = get(&router, "/api/v1/query?query=annotated&stats=all").await;
    let body: serde_json::Value = serde_json::from_str(&got.body).unwrap();
    let warnings = body["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 11);
    assert_eq!(warnings[10], "2 more warning annotations omitted");
    assert_eq!(body["infos"], serde_json::json!(["PromQL info: \"x\""]));
    assert_eq!(body["data"]["stats"]["timings"]["evalTotalTime"], 0.5);
    let got = get(&router, "/api/v1/query?query=up&stats=x").await;
    assert!(got.body.contains("for parameter \\\"stats\\\" is deprecated"), "{}", got.body);
}

#[tokio::test]
async fn exemplars_and_formatting() {
    let (router, seen) = fixture();
    let got = get(&router, "/api/v1/query_exemplars?query=rate(a%5B5m%5D)%2Bb&start=1&end=2").await;
    let want = "[{\"seriesLabels\":{\"__name__\":\"a\"},\"exemplars\":[{\"labels\":{\"trace_id\":\"t\"},\"value\":\"0.25\",\"timestamp\":1.500}]}]";
    assert_eq!(got.body, ok(want));
    let want = "anonymous exemplars [[__name__=\"a\"], [__name__=\"b\"]] 999 2000";
    assert_eq!(seen.last(), want);
    // Grafana probes with times in milliseconds.
    let probe = "/api/v1/query_exemplars?query=test&start=1700000000000&end=1700000060000";
    assert_eq!(get(&router, probe).await.status.as_u16(), 200);
    assert_eq!(get(&router, "/api/v1/query_exemplars?query=1").await.status.as_u16(), 204);
    let got = post_form(&router, "/api/v1/format_query", "query=a%2Bb").await;
    assert_eq!(got.body, ok("\"a + b\""));
    let got = post_form(&router, "/api/v1/parse_query", "query=1").await;
    assert_eq!(got.body, ok("{\"type\":\"numberLiteral\",\"val\":\"1\"}"));
}
