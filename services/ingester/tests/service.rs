//! The ingester through its gRPC services: write, read, restart, ship.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod common;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::*;
use futures::StreamExt;
use tonic::{Code, Request};
use varve_log::{Disk, SimDisk};
use varve_model::{ErrorKind, WINDOW_MS};
use varve_runtime::config::ByteSize;
use varve_wire::v1::store_server::Store;
use varve_wire::{status, v1};

#[tokio::test]
async fn what_is_written_is_read_from_every_partition() {
    let node = Node::new(&[3, 7]);
    let live = node.start().await;
    let (a, b) = (content(0..5, NOON, 10), content(5..9, NOON, 4));
    assert_eq!(live.append(3, &a).await.unwrap(), 50);
    assert_eq!(live.append(7, &b).await.unwrap(), 16);
    let mut both = a.clone();
    both.extend(b);
    assert_eq!(live.read().await, both);

    let mut only = scope();
    only.as_mut().unwrap().partitions = vec![3];
    let request = v1::SelectRequest { scope: only, ..select_request() };
    assert_eq!(live.select(request).await.unwrap().1, a);

    let request = v1::SeriesRequest { scope: scope(), matchers: matchers(), limit: 0 };
    let frames = live.ingester.series(Request::new(request)).await.unwrap().into_inner();
    let frames: Vec<_> = frames.map(Result::unwrap).collect().await;
    let labels: Vec<_> = frames.into_iter().flat_map(|f| f.labels).collect();
    assert_eq!(labels.len(), 9);
    assert!(labels.is_sorted());

    let request = v1::LabelNamesRequest { scope: scope(), matchers: vec![], limit: 0 };
    let names = live.ingester.label_names(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(names.values, ["__name__", "job"]);
    let request = v1::LabelValuesRequest {
        scope: scope(),
        name: "__name__".to_owned(),
        matchers: vec![],
        limit: 6,
    };
    let values = live.ingester.label_values(Request::new(request)).await.unwrap().into_inner();
    assert_eq!(values.values, ["m0000", "m0001", "m0002", "m0003", "m0004", "m0005"]);
    live.stop().await;
}

#[tokio::test]
async fn requests_that_cannot_be_served_say_why() {
    let live = Node::new(&[1]).start().await;
    let error = live.append(2, &content(0..1, NOON, 1)).await.unwrap_err();
    assert_eq!((error.code(), status::kind(&error)), (Code::NotFound, ErrorKind::NotFound));
    assert_eq!(error.message(), "partition 2 is not hosted by this ingester");
    let request = v1::SelectRequest::default();
    assert_eq!(live.select(request).await.unwrap_err().code(), Code::InvalidArgument);
    live.append(1, &content(0..3, NOON, 1)).await.unwrap();
    assert_eq!(live.select(select_request()).await.unwrap().1.len(), 3);
}

#[tokio::test]
async fn a_large_answer_comes_in_frames_and_a_reader_may_leave() {
    let mut node = Node::new(&[1]);
    node.config.log_segment.0 = 4 << 20;
    let live = node.start().await;
    let mut all = Content::new();
    for part in 0..8 {
        // Values without a pattern, so that they do not vanish in coding.
        let mut some = content(part * 100..part * 100 + 100, NOON, 700);
        for (n, value) in some.values_mut().flatten().map(|(_, value)| value).enumerate() {
            *value = (n as f64 * 0.7 + f64::from(part)).sin();
        }
        live.append(1, &some).await.unwrap();
        all.extend(some);
    }
    let answer = Store::select(&live.ingester, Request::new(select_request())).await.unwrap();
    let frames: Vec<_> = answer.into_inner().map(Result::unwrap).collect().await;
    assert!(frames.len() > 2, "{}", frames.len());
    let sizes = frames.iter().map(prost_size);
    assert!(sizes.clone().all(|size| size < 2 << 20), "{:?}", sizes.collect::<Vec<_>>());
    assert_eq!(live.read().await, all);
    let answer = Store::select(&live.ingester, Request::new(select_request())).await.unwrap();
    drop(answer.into_inner().next().await);
    live.stop().await;
}

fn prost_size(frame: &v1::SelectFrame) -> usize {
    let times: usize = frame.times.iter().map(bytes::Bytes::len).sum();
    let chunks = frame.series.iter().flat_map(|s| &s.chunks);
    times + chunks.map(|c| c.values.len()).sum::<usize>()
}

#[tokio::test]
async fn everything_acknowledged_survives_a_power_cut() {
    let mut node = Node::new(&[0, 1]);
    let mut live = node.start().await;
    let mut all = Content::new();
    for life in 0..4 {
        for partition in 0..2 {
            let first = (life * 2 + partition) * 10;
            let some = content(first..first + 10, NOON, 20);
            live.append(partition, &some).await.unwrap();
            all.extend(some);
        }
        live = node.crash(live).await;
        assert_eq!(live.read().await, all, "life {life}");
    }
}

/// The interval between two seals is a day here.
#[tokio::test]
async fn much_that_is_not_sealed_is_sealed_early() {
    let mut node = Node::new(&[0, 1]);
    node.config.seal_memory = ByteSize(1 << 20);
    let mut live = node.start().await;
    let mut all = content(0..10, NOON, 20);
    live.append(1, &all).await.unwrap();
    // Enough for one partition's half of the memory, by labels alone.
    let many = content(1000..9000, NOON, 1);
    for some in many.into_iter().collect::<Vec<_>>().chunks(1000) {
        let some = some.iter().cloned().collect();
        live.append(0, &some).await.unwrap();
        all.extend(some);
    }
    let seals = |live: &Live| live.counter("varve_head_seals_total");
    let deadline = Instant::now() + Duration::from_secs(60);
    while seals(&live) == 0.0 {
        assert!(Instant::now() < deadline, "no seal within a minute");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(live.read().await, all);
    assert!(node.disk.stat(&manifest(&node, 0)).is_ok(), "the other partition is sealed");
    assert!(node.disk.stat(&manifest(&node, 1)).is_err(), "the other one has taken little");
    live = node.crash(live).await;
    assert_eq!(live.read().await, all);
    live.stop().await;
}

/// The file that says what is sealed of a partition.
fn manifest(node: &Node, partition: u32) -> PathBuf {
    node.scratch.path().join(format!("partitions/{partition}/manifest"))
}

#[tokio::test]
async fn shipping_commits_one_block_and_the_head_lets_go_after_a_while() {
    let mut node = Node::new(&[5]);
    node.config.seal_interval.0 = Duration::from_millis(1);
    let live = node.start().await;
    let written = content(0..20, NOON, 30);
    live.append(5, &written).await.unwrap();
    assert_eq!(live.ship().await.unwrap().len(), 1);
    let blocks = node.blocks().await;
    assert_eq!(blocks.len(), 1);
    assert_eq!((blocks[0].series, blocks[0].samples), (20, 600));
    assert_eq!((blocks[0].partition, blocks[0].range.end), (5, WINDOW_END));
    assert_eq!(live.ship().await.unwrap(), Vec::<String>::new());
    // Readers that pinned an older version still find the samples here.
    assert_eq!(live.select(select_request()).await.unwrap(), (0, written));
    node.clock.advance(node.config.hold.0 + Duration::from_secs(1));
    while live.select(select_request()).await.unwrap().0 == 0 {
        tokio::task::yield_now().await;
    }
    let (released_at, left) = live.select(select_request()).await.unwrap();
    assert_eq!(released_at, node.catalog.refresh(&tenant()).await.unwrap().version());
    assert_eq!(left, Content::new());
    live.stop().await;
}

#[tokio::test]
async fn windows_ship_by_themselves_when_they_are_due() {
    let mut node = Node::new(&[5]);
    node.config.ship_check_interval.0 = Duration::from_millis(1);
    let live = node.start().await;
    live.append(5, &content(0..3, NOON, 5)).await.unwrap();
    assert_eq!(node.blocks().await, []);
    let delay = node.config.cut_delay.0 + node.config.cut_spread.0;
    let idle = Duration::from_millis(WINDOW_MS.unsigned_abs());
    node.clock.advance(delay + idle);
    while node.blocks().await.is_empty() {
        tokio::task::yield_now().await;
    }
    live.stop().await;
    let blocks = node.blocks().await;
    assert_eq!((blocks.len(), blocks[0].samples), (1, 15));
}

#[tokio::test]
async fn an_absent_bucket_stops_neither_writes_nor_reads() {
    let node = Node::new(&[5]);
    let live = node.start().await;
    let mut all = content(0..3, NOON, 5);
    live.append(5, &all).await.unwrap();
    node.store.outage(true);
    let error = live.ship().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    let more = content(3..6, NOON, 5);
    live.append(5, &more).await.unwrap();
    all.extend(more);
    assert_eq!(live.read().await, all);
    node.store.outage(false);
    assert_eq!(live.ship().await.unwrap().len(), 2);
    let samples: u64 = node.blocks().await.iter().map(|block| block.samples).sum();
    assert_eq!(samples, 30);
    assert_eq!(std::fs::read_dir(node.scratch.path().join("scratch")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_flaky_bucket_is_tried_until_everything_is_there_once() {
    let mut node = Node::new(&[5]);
    node.store.fail_every(7);
    node.store.lose_every(5);
    let mut live = node.start().await;
    for round in 0..5 {
        live.append(5, &content(round..round + 1, NOON, 10)).await.unwrap();
        while live.ship().await.is_err() {
            if round % 2 == 0 {
                live = node.crash(live).await;
            }
        }
    }
    node.store.fail_every(0);
    node.store.lose_every(0);
    let blocks = node.blocks().await;
    assert_eq!(blocks.len(), 5);
    assert_eq!(blocks.iter().map(|block| block.samples).sum::<u64>(), 50);
}

#[tokio::test]
async fn shutdown_ships_everything_if_so_set() {
    let mut node = Node::new(&[1, 2]);
    node.config.ship_on_shutdown = true;
    let live = node.start().await;
    live.append(1, &content(0..3, NOON, 5)).await.unwrap();
    live.append(2, &content(3..6, NOON, 5)).await.unwrap();
    live.stop().await;
    assert_eq!(node.blocks().await.len(), 2);
}

#[tokio::test]
async fn a_disk_over_its_high_water_mark_refuses_appends_only() {
    let node = Node::new(&[1]);
    let live = node.start().await;
    let written = content(0..3, NOON, 5);
    live.append(1, &written).await.unwrap();
    live.stop().await;
    node.disk.set_capacity(256 << 10);
    let live = node.start().await;
    let error = live.append(1, &content(3..4, NOON, 5)).await.unwrap_err();
    assert_eq!((error.code(), status::kind(&error)), (Code::Unavailable, ErrorKind::Unavailable));
    assert!(error.message().contains("ingester.disk_high_water"), "{error}");
    assert_eq!(live.read().await, written);
    node.disk.set_capacity(u64::MAX);
    while live.append(1, &content(3..4, NOON, 5)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_folder_has_one_process() {
    let node = Node::new(&[1]);
    let live = node.start().await;
    let Err(error) = node.try_start().await else { panic!("two ingesters share a folder") };
    assert!(error.to_string().contains("is in use by another process"), "{error}");
    live.stop().await;
    node.start().await.stop().await;
}

#[tokio::test]
async fn a_failed_sync_ends_the_process() {
    let node = Node::new(&[1]);
    let live = node.start().await;
    node.disk.fail_sync(1);
    let error = live.append(1, &content(0..1, NOON, 1)).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    live.shutdown.requested().await;
    assert!(live.task.await.unwrap().is_err());
}

#[tokio::test]
async fn a_damaged_log_refuses_to_start() {
    let node = Node::new(&[1]);
    let live = node.start().await;
    for n in 0..5 {
        live.append(1, &content(n..n + 1, NOON, 50)).await.unwrap();
    }
    live.stop().await;
    let file = node.scratch.path().join("log/00000000.segment");
    assert!(SimDisk::flip(&node.disk, &file, 4300));
    let Err(error) = node.try_start().await else { panic!("it started on a damaged log") };
    assert!(error.to_string().contains("00000000.segment at offset 4288"), "{error}");
}
