//! A crash at every step of sealing and shipping: nothing is lost, and the
//! catalog lists every sample once.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;

use std::time::Duration;

use common::*;
use varve_runtime::fail::{FailScenario, cfg, remove};

const SHIP: [&str; 6] = [
    "ship.before-build",
    "ship.after-upload-some",
    "ship.before-commit",
    "ship.after-commit",
    "ship.before-shipped",
    "ship.after-shipped",
];

const SEAL: [&str; 3] = ["seal.before-manifest", "seal.after-manifest", "seal.before-purge"];

/// What happens after a step has failed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    TryAgain,
    CutPower,
    WriteMoreAndCutPower,
}

#[tokio::test]
async fn a_ship_that_stops_anywhere_is_finished_once() {
    let scenario = FailScenario::setup();
    for step in SHIP {
        for then in [Then::TryAgain, Then::CutPower, Then::WriteMoreAndCutPower] {
            let mut node = Node::new(&[2]);
            let mut live = node.start().await;
            let mut written = content(0..10, NOON, 10);
            live.append(2, &written).await.unwrap();
            cfg(step, "return").unwrap();
            live.ship().await.unwrap_err();
            remove(step);
            let mut expected_blocks = 1;
            if then == Then::WriteMoreAndCutPower {
                let more = content(20..25, NOON, 10);
                live.append(2, &more).await.unwrap();
                written.extend(more);
                expected_blocks = 2;
            }
            if then != Then::TryAgain {
                live = node.crash(live).await;
            }
            assert_eq!(live.read().await, written, "{step} {then:?}");
            live.ship().await.unwrap();
            let blocks = node.blocks().await;
            assert_eq!(blocks.len(), expected_blocks, "{step} {then:?}");
            let samples: u64 = blocks.iter().map(|block| block.samples).sum();
            let expected: usize = written.values().map(Vec::len).sum();
            assert_eq!(samples, expected as u64, "{step} {then:?}");
            // A last crash: `Shipped` is durable, nothing ships again.
            let live = node.crash(live).await;
            assert!(live.ship().await.unwrap().is_empty());
            assert_eq!(node.blocks().await.len(), expected_blocks, "{step} {then:?}");
        }
    }
    scenario.teardown();
}

#[tokio::test]
async fn a_seal_that_stops_anywhere_loses_nothing() {
    let scenario = FailScenario::setup();
    for step in SEAL {
        let mut node = Node::new(&[2]);
        node.config.seal_interval.0 = Duration::from_millis(1);
        cfg(step, "return").unwrap();
        let mut live = node.start().await;
        let mut written = Content::new();
        for round in 0..3 {
            let some = content(round * 5..round * 5 + 5, NOON, 10);
            live.append(2, &some).await.unwrap();
            written.extend(some);
            while live.counter("varve_ingester_seal_failures_total") == 0.0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            live = node.crash(live).await;
            assert_eq!(live.read().await, written, "{step}, round {round}");
        }
        remove(step);
        live = node.crash(live).await;
        let some = content(15..20, NOON, 10);
        live.append(2, &some).await.unwrap();
        written.extend(some);
        while live.counter("varve_head_seals_total") == 0.0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        live = node.crash(live).await;
        assert_eq!(live.read().await, written, "{step}, sealed");
    }
    scenario.teardown();
}
