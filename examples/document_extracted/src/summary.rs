//! An extractive summary: the sentences whose words the rest of the document uses most.

use std::collections::HashMap;

const SENTENCES_MAX: usize = 3;
const WORDS_MIN: usize = 5;
const WORDS_MAX: usize = 60;
const STOP_WORDS: [&str; 28] = [
    "about", "after", "also", "been", "before", "between", "from", "have", "into", "more", "other", "shall", "such",
    "than", "that", "their", "them", "then", "there", "these", "they", "this", "upon", "were", "which", "will", "with",
    "your",
];

/// At most three sentences, in the document's order.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let sentences = split(text);
    let mut counts: HashMap<String, f64> = HashMap::new();
    for word in sentences.iter().flat_map(|sentence| words(sentence)) {
        *counts.entry(word).or_default() += 1.0;
    }
    let mut ranked: Vec<(usize, f64)> =
        sentences.iter().enumerate().map(|(index, sentence)| (index, worth(index, sentence, &counts))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.truncate(SENTENCES_MAX);
    ranked.sort_by_key(|(index, _)| *index);
    ranked.into_iter().map(|(index, _)| sentences[index].clone()).collect()
}

/// The mean weight of its words, a little more for the first sentences and for those with figures.
fn worth(index: usize, sentence: &str, counts: &HashMap<String, f64>) -> f64 {
    let words: Vec<_> = words(sentence).collect();
    let mean = words.iter().map(|word| counts[word]).sum::<f64>() / words.len().max(1) as f64;
    let early = if index < 2 { 1.2 } else { 1.0 };
    let figures = if sentence.contains(|c: char| c.is_ascii_digit()) { 1.15 } else { 1.0 };
    mean * early * figures
}

/// Sentences end at a stop before a space and a capital, or at an empty line; what is no sentence is left out.
fn split(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    for paragraph in text.replace("\r\n", "\n").split("\n\n") {
        let paragraph = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut start = 0;
        for (at, mark) in paragraph.match_indices(['.', '!', '?']) {
            let end = at + mark.len();
            let mut rest = paragraph[end..].chars();
            if matches!((rest.next(), rest.next()), (None, _) | (Some(' '), Some('A'..='Z'))) {
                sentences.push(paragraph[start..end].trim().to_owned());
                start = end;
            }
        }
    }
    sentences.retain(|sentence| (WORDS_MIN..=WORDS_MAX).contains(&sentence.split(' ').count()));
    sentences
}

fn words(sentence: &str) -> impl Iterator<Item = String> + '_ {
    let words = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 3).map(str::to_lowercase);
    words.filter(|word| !STOP_WORDS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentences_about_the_main_matter_are_kept_in_order() {
        let text = "The tenant rents the flat from the landlord. The weather was quite nice that day. The tenant pays rent \
                    for the flat every month. The landlord repairs the flat when the tenant asks. Cats are lovely animals indeed.";
        let summary = sentences(text);
        assert_eq!(summary.len(), 3);
        assert!(summary.iter().all(|sentence| sentence.contains("flat")), "{summary:?}");
    }

    #[test]
    fn figures_do_not_end_sentences() {
        let fee = "The fee of 12.50 is due on the account today.";
        assert_eq!(split(&format!("{fee} Short one.")), [fee]);
    }

    #[test]
    fn a_list_has_no_summary() {
        assert_eq!(sentences("Lamp 3 pcs\nDesk 2 pcs"), Vec::<String>::new());
    }
}
