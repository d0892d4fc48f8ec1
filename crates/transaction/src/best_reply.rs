//! Choosing the best final reply: RFC 3261 §16.7 step 6.
//!
//! A 6xx wins (unless `t_set_disable_6xx`); else the lowest class. Within 4xx first those that tell how to resubmit the request
//! (401, 407, 415, 420, 484), within 5xx the 503 last; then the lower code; then a reply received before one made up here; then the
//! earlier branch. Kamailio chooses the same, but that it ranks a 503 by its number.

use crate::branch::Branch;

/// What the transaction would answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Index of the branch; `None` when there is none (a suspended request that timed out).
    pub branch: Option<usize>,
    pub code: u16,
    /// It is a reply that was received, not one made up for a branch that timed out or could not be sent.
    pub received: bool,
}

impl Choice {
    pub const TIMEOUT: Choice = Choice { branch: None, code: 408, received: false };
}

/// The best of the branches from `leg` on that have a final result of 300 or more.
pub(crate) fn choose(branches: &[Branch], leg: usize, disable_6xx: bool) -> Option<Choice> {
    branches
        .iter()
        .enumerate()
        .skip(leg)
        .filter_map(|(i, branch)| {
            let code = branch.result.filter(|code| *code >= 300)?;
            Some(Choice { branch: Some(i), code, received: branch.reply_is(code) })
        })
        .min_by_key(|choice| {
            let rank = rank(choice.code, disable_6xx);
            (rank, !choice.received, choice.branch)
        })
}

impl Branch {
    fn reply_is(&self, code: u16) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.status() == code)
    }
}

/// Lower is better.
fn rank(code: u16, disable_6xx: bool) -> (u16, u16) {
    let group = match code {
        600..=699 if !disable_6xx => 0,
        300..=399 => 2,
        401 | 407 | 415 | 420 | 484 => 3,
        400..=499 => 4,
        503 => 6,
        500..=599 => 5,
        _ => 7,
    };
    (group, code)
}

#[cfg(test)]
mod tests {
    use super::rank;

    fn order(codes: &[u16], disable_6xx: bool) -> Vec<u16> {
        let mut codes = codes.to_vec();
        codes.sort_by_key(|code| rank(*code, disable_6xx));
        codes
    }

    #[test]
    fn by_the_book() {
        let all = [503, 500, 600, 404, 486, 302, 407, 484, 603, 408, 401];
        assert_eq!(
            order(&all, false),
            [600, 603, 302, 401, 407, 484, 404, 408, 486, 500, 503],
            "6xx, then the lowest class, with the replies that help resubmission first"
        );
        assert_eq!(order(&[600, 404, 503], true), [404, 503, 600], "6xx as another failure");
        // The RFC's own example: 503, 407, 501, 404 -> 407.
        assert_eq!(order(&[503, 407, 501, 404], false).first(), Some(&407));
    }
}
