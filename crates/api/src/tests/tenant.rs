//! Who a request is about.

use axum::body::Body;
use http::Request;

use super::{error, fixture, send};

/// Sends a query with these headers; the tenant that the querier saw, or the refusal.
async fn tenant(prefix: &str, headers: &[(&str, &str)]) -> Result<String, (u16, String)> {
    let (router, seen) = fixture();
    let mut request = Request::get(format!("{prefix}/api/v1/query?query=up"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let got = send(&router, request.body(Body::empty()).unwrap()).await;
    if got.status.as_u16() != 200 {
        assert_eq!(seen.count(), 0);
        return Err((got.status.as_u16(), got.body));
    }
    Ok(seen.last().split(' ').next().unwrap().to_owned())
}

#[tokio::test]
async fn the_tenant_may_be_named_in_three_places() {
    // "team-a:x" and "team-b:x"
    let (a, b) = ("Basic dGVhbS1hOng=", "basic dGVhbS1iOng=");
    type Headers = [(&'static str, &'static str)];
    let cases: [(&str, &Headers, &str); 9] = [
        ("", &[], "anonymous"),
        ("", &[("X-Scope-OrgID", "team-a")], "team-a"),
        ("", &[("X-Scope-OrgID", "")], "anonymous"),
        ("", &[("Authorization", a)], "team-a"),
        ("", &[("Authorization", b)], "team-b"),
        ("", &[("Authorization", "Bearer abc")], "anonymous"),
        ("/tenant/team-a", &[], "team-a"),
        ("/tenant/team-a/prometheus", &[], "team-a"),
        ("/tenant/team-a", &[("X-Scope-OrgID", "team-a"), ("Authorization", a)], "team-a"),
    ];
    for (prefix, headers, want) in cases {
        assert_eq!(tenant(prefix, headers).await.as_deref(), Ok(want), "{prefix} {headers:?}");
    }
}

#[tokio::test]
async fn tenants_that_conflict_or_are_none_are_refused() {
    let conflict = tenant("/tenant/b", &[("X-Scope-OrgID", "a")]).await;
    let want =
        "the request names two tenants: the header X-Scope-OrgID says \"a\", the path says \"b\"";
    assert_eq!(conflict, Err((400, error("bad_data", want))));
    let twice = tenant("", &[("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b")]).await;
    assert_eq!(twice.map_err(|e| e.0), Err(400));
    let invalid = tenant("", &[("X-Scope-OrgID", "a/b")]).await;
    let want = "the header X-Scope-OrgID: tenant id \"a/b\" has the unsupported character '/'";
    assert_eq!(invalid, Err((400, error("bad_data", want))));
    let reserved = tenant("/tenant/__x", &[]).await;
    assert_eq!(reserved.map_err(|e| e.0), Err(400));
    for bad in ["Basic !!!", "Basic dGVhbQ=="] {
        let got = tenant("", &[("Authorization", bad)]).await;
        let want = "the Authorization header is not valid basic authentication";
        assert_eq!(got, Err((401, error("unauthorized", want))), "{bad}");
    }
}
