//! CPU time of a thread or a process, so that other work on the machine counts
//! less than it does in wall time.

use std::time::Duration;

/// CPU time that this thread has used: from the scheduler's statistics on
/// Linux, where it is exact to a scheduler tick; none elsewhere.
fn used() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// How long one call of `work` takes: the least of five measurements, each of
/// as many calls as take 200 ms. CPU time where there is some, else wall time.
pub fn time(mut work: impl FnMut()) -> Duration {
    let mut once = |calls: u32| {
        let (wall, cpu) = (std::time::Instant::now(), used());
        for _ in 0..calls {
            work();
        }
        match (cpu, used()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => wall.elapsed(),
        }
    };
    let mut calls = 1;
    while once(calls) < Duration::from_millis(200) {
        calls *= 2;
    }
    (0..5).map(|_| once(calls)).min().unwrap_or_default() / calls
}

/// CPU time, user and system, of a whole process, threads that have ended
/// included; to the 10 ms of the kernel's accounting. None when it is gone.
pub fn process(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the fields begin behind it.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks()? + ticks()?)))
}
