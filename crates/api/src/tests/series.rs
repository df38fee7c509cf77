//! The routes about labels.

use super::{error, fixture, get, ok, post_form};

#[tokio::test]
async fn series_and_labels() {
    let (router, seen) = fixture();
    let a = "{\"__name__\":\"a\"}";
    let b = "{\"__name__\":\"b\",\"l\":\"v\"}";
    let cut = format!(
        "{{\"status\":\"success\",\"data\":[{a}],\"warnings\":[\"results truncated due to limit\"]}}"
    );
    let cases = [
        ("series?match[]=a&match[]=%7Bl=%22v%22%7D", ok(&format!("[{a},{b}]"))),
        ("series?match[]=a&limit=1", cut),
        ("labels", ok("[\"__name__\",\"l\"]")),
        ("labels?limit=2", ok("[\"__name__\",\"l\"]")),
        ("label/l/values", ok("[]")),
    ];
    for (uri, want) in cases {
        let got = get(&router, &format!("/api/v1/{uri}")).await;
        assert_eq!((got.status.as_u16(), got.body), (200, want), "{uri}");
    }
    get(&router, "/api/v1/labels?match[]=up&start=1&end=2&limit=5").await;
    let want = "anonymous labels SeriesQuery { selectors: [[__name__=\"up\"]], range: Some(TimeRange { start: 999, end: 2000 }), limit: 6 }";
    assert_eq!(seen.last(), want);
    post_form(&router, "/api/v1/series", "match[]=up").await;
    let want =
        "anonymous series SeriesQuery { selectors: [[__name__=\"up\"]], range: None, limit: 0 }";
    assert_eq!(seen.last(), want);
    for (path, name) in [("l", "l"), ("U__a_2e_b", "a.b"), ("a%2Fb", "a/b")] {
        get(&router, &format!("/api/v1/label/{path}/values")).await;
        assert!(seen.last().starts_with(&format!("anonymous values of {name} ")), "{path}");
    }
}

#[tokio::test]
async fn bad_selectors_are_refused() {
    let (router, seen) = fixture();
    let cases = [
        ("series", "no match[] parameter provided"),
        (
            "series?match[]=%7B%7D",
            "invalid parameter \"match[]\": match[] must contain at least one non-empty matcher",
        ),
        (
            "series?match[]=a%2B1",
            "invalid parameter \"match[]\": 1:2: parse error: unexpected <op:+>",
        ),
        ("labels?match[]=%7B%7D", "match[] must contain at least one non-empty matcher"),
        (
            "labels?start=x",
            "invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp",
        ),
        ("metadata?limit=x", "limit must be a number"),
    ];
    for (uri, want) in cases {
        let got = get(&router, &format!("/api/v1/{uri}")).await;
        assert_eq!((got.status.as_u16(), got.body), (400, error("bad_data", want)), "{uri}");
    }
    assert_eq!(seen.count(), 0);
}

#[tokio::test]
async fn metadata_is_limited() {
    let (router, seen) = fixture();
    let one = "{\"type\":\"counter\",\"unit\":\"s\",\"help\":\"one\"}";
    let two = "{\"type\":\"gauge\",\"unit\":\"s\",\"help\":\"two\"}";
    let b = "{\"type\":\"gaugehistogram\",\"unit\":\"s\",\"help\":\"b\"}";
    let cases = [
        ("", format!("{{\"a\":[{one},{two}],\"b\":[{b}]}}")),
        ("?limit=0", "{}".to_owned()),
        ("?limit=-1&limit_per_metric=-1", format!("{{\"a\":[{one},{two}],\"b\":[{b}]}}")),
        ("?limit=1", format!("{{\"a\":[{one},{two}]}}")),
        ("?limit_per_metric=1", format!("{{\"a\":[{one}],\"b\":[{b}]}}")),
    ];
    for (params, want) in cases {
        let got = get(&router, &format!("/api/v1/metadata{params}")).await;
        assert_eq!(got.body, ok(&want), "{params}");
    }
    get(&router, "/api/v1/metadata?metric=a").await;
    let want =
        "anonymous metadata MetadataQuery { metric: Some(\"a\"), limit: 0, limit_per_metric: 0 }";
    assert_eq!(seen.last(), want);
}
