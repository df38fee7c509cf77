//! Civil time in UTC, as the date functions need it.
//!
//! Days are counted from 0000-03-01 so that leap days come last in a year
//! (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

const DAY: i64 = 86_400;

/// A moment in UTC, proleptic Gregorian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 to 366.
    pub(crate) day_of_year: i64,
}

impl Civil {
    /// The moment this many seconds after the epoch.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        let rest = seconds.rem_euclid(DAY);
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let before: i64 = (1..month).map(|m| days_in_month(year, m)).sum();
        Self {
            year,
            month,
            day,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: before + day,
        }
    }

    /// The length of its month.
    pub(crate) fn days_in_month(&self) -> i64 {
        days_in_month(self.year, self.month)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let check = |seconds, year, month, day, weekday, of_year| {
            let t = Civil::from_unix(seconds);
            let got = (t.year, t.month, t.day, t.weekday, t.day_of_year);
            assert_eq!(got, (year, month, day, weekday, of_year));
        };
        check(0, 1970, 1, 1, 4, 1);
        check(-1, 1969, 12, 31, 3, 365);
        check(951_782_400, 2000, 2, 29, 2, 60);
        check(1_136_239_445, 2006, 1, 2, 1, 2);
        check(1_230_768_000 - 1, 2008, 12, 31, 3, 366);
    }
}
