//! What a result must say about where it comes from: the machine, the
//! versions, the date, and how busy others kept the processors meanwhile.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::clock::now_ms;

/// Processors, memory and kernel, in a line.
pub fn describe() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let after = |line: &str| line.split_once(':').map(|(_, v)| v.trim().to_owned());
    let model = cpus.lines().find(|l| l.starts_with("model name")).and_then(after);
    let count = cpus.lines().filter(|l| l.starts_with("processor")).count();
    let memory = read("/proc/meminfo").lines().next().and_then(after).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let model = model.unwrap_or_else(|| "unknown processor".to_owned());
    format!("{count} × {model}, {memory} of memory, Linux {}", kernel.trim())
}

/// Today, as 2026-11-21, and the minute, in UTC.
pub fn date() -> String {
    let seconds = now_ms() / 1000;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let m = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * m + 2) / 5 + 1;
    let month = if m < 10 { m + 3 } else { m - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest % 3600 / 60)
}

/// The first line that a program says of its version; else its package's.
pub fn version(program: &Path) -> String {
    let first = |mut command: Command| {
        let output = command.output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().find(|l| !l.trim().is_empty()).map(str::to_owned)
    };
    let mut asked = Command::new(program);
    asked.arg("--version");
    let mut package = Command::new("dpkg-query");
    package.args(["-W", "-f", "${Package} ${Version} (Debian)\n"]).arg(name(program));
    first(asked).or_else(|| first(package)).unwrap_or_else(|| "unknown".to_owned())
}

fn name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// CPU time that all processes together have used since the start.
pub fn busy() -> Duration {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1);
    let ticks: Vec<u64> = fields.filter_map(|f| f.parse().ok()).collect();
    // user, nice, system, (idle, iowait), irq, softirq, steal
    let used = [0, 1, 2, 5, 6, 7].iter().filter_map(|i| ticks.get(*i)).sum::<u64>();
    Duration::from_millis(10 * used)
}
