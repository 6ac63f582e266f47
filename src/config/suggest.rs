//! "Did you mean …?": the known word nearest to a mistyped one.

/// Longest word worth comparing, characters; longer ones are no typing mistakes.
const LONGEST: usize = 64;

/// The candidate that differs from `word` by the fewest edits, if they are few enough for a slip of the hand:
/// one for short words, a third of the letters for long ones, none for single letters. Case and `-` against `_` do
/// not count.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = plain(word);
    if word.len() > LONGEST {
        return None;
    }
    let limit = (word.len() / 3).max(usize::from(word.len() > 1));
    candidates
        .into_iter()
        .map(|candidate| (edits(&word, &plain(candidate)), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Vec<char> {
    let word = word.chars().take(LONGEST + 1);
    word.map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (optimal string alignment: swaps are the commonest slip).
fn edits(from: &[char], to: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j + 1] + 1).min(row[j] + 1).min(last[j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let known = ["interval", "timeout", "body_limit", "id", "pool", "pools", "pop"];
        assert_eq!(nearest(word, known), expected, "{word}");
    }

    #[test]
    fn slips_of_the_hand_find_the_word_and_other_words_do_not() {
        check("intervall", Some("interval"));
        check("inetrval", Some("interval"));
        check("Timeout", Some("timeout"));
        check("body-limit", Some("body_limit"));
        check("pol", Some("pool"));
        check("ids", Some("id"));
        check("pools", Some("pools"));
        check("weight", None);
        check("", None);
        check("x", None);
        check(&"interval".repeat(100), None);
    }

    #[test]
    fn a_swap_counts_once() {
        let chars = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(edits(&chars("ab"), &chars("ba")), 1);
        assert_eq!(edits(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(edits(&[], &chars("abc")), 3);
        assert_eq!(edits(&chars("abc"), &[]), 3);
    }
}
