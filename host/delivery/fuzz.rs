//! Fuzz targets: what a receiver answers.

use std::time::Duration;

use flowgate_fuzz::fuzz;

use super::schedule::next;
use crate::clock::Timestamp;
use crate::egress::retry_after;

#[test]
fn whatever_a_receiver_asks_for_there_is_a_wait_or_none() {
    let texts = ["120", "Sun, 06 Nov 1994 08:49:37 GMT", "18446744073709551615", "-5", "Sun, 06 Nov 9999 08:49:37 GMT"];
    fuzz!(|grow| {
        let now = Timestamp::from_unix_ms(grow.number());
        let asked = retry_after(&grow.text(&texts), now);
        let chance = f64::from(i32::try_from(grow.below(1_000)).unwrap()) / 1_000.0;
        let attempts = u32::try_from(grow.below(9)).unwrap();
        let wait = next(&[5, 300, 36_000], attempts, asked, chance);
        assert_eq!(wait.is_some(), (1..=3).contains(&attempts));
        assert!(wait.is_none_or(|wait| wait >= Duration::from_secs(4) && now.after(wait) >= now));
    });
}
