//! What to do when a document service has read a document: says what kind it is, with scores, and sums it up: the amounts,
//! the dates, the parties and the sentences that matter.

mod classify;
mod find;
mod summary;

use flowgate::{Failure, Reply, Result, Trigger, log, output};
use serde::{Deserialize, Serialize};

use crate::classify::{Class, Score};
use crate::find::{Amount, Date, Party};

/// Below this, the reading is too poor to rely on.
const CONFIDENCE_MIN: f64 = 0.5;

#[derive(Deserialize)]
struct Input {
    event: String,
    document: Document,
    extraction: Extraction,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    filename: String,
    pages: u32,
}

#[derive(Deserialize)]
struct Extraction {
    text: String,
    /// 0 to 1, by the service's own account.
    confidence: f64,
}

#[derive(Serialize)]
struct Report {
    document: String,
    class: Class,
    scores: Vec<Score>,
    needs_review: bool,
    total: Option<Amount>,
    amounts: Vec<Amount>,
    dates: Vec<Date>,
    parties: Vec<Party>,
    summary: Vec<String>,
}

fn handle(trigger: Trigger) -> Result {
    let Input { event, document, extraction } = trigger.data()?;
    if event != "document.extraction.completed" {
        return Err(Failure::invalid("event", "document.extraction.completed", event));
    }
    if extraction.text.trim().is_empty() {
        return Err(Failure::invalid("extraction.text", "the text of the document", "nothing"));
    }
    output::progress(Some(20), "classifying")?;
    let scores = classify::scores(&extraction.text, &document.filename);
    let class = scores[0].class;
    output::progress(Some(60), "summing up")?;
    let amounts = find::amounts(&extraction.text);
    let report = Report {
        document: document.id,
        class,
        needs_review: class == Class::Unknown || scores[0].share < 0.5 || extraction.confidence < CONFIDENCE_MIN,
        scores,
        total: find::total(&amounts),
        amounts,
        dates: find::dates(&extraction.text),
        parties: find::parties(&extraction.text),
        summary: summary::sentences(&extraction.text),
    };
    log::info!("{} is {:?}", report.document, report.class);
    let text = text(&report, &document.filename, document.pages);
    Ok(Reply::json(&report)?.with_text(text))
}

fn text(report: &Report, filename: &str, pages: u32) -> String {
    let pages = if pages == 1 { "1 page".to_owned() } else { format!("{pages} pages") };
    let mut text = format!("{filename} ({pages}) is {}", report.class.name());
    if let Some(total) = &report.total {
        text.push_str(&format!(" over {}", total.text));
    }
    let parties: Vec<_> = report.parties.iter().map(|party| party.name.as_str()).collect();
    if !parties.is_empty() {
        text.push_str(&format!(", {}", parties.join(" and ")));
    }
    text.push('.');
    if report.needs_review {
        text.push_str(" Somebody should look at it.");
    }
    for sentence in &report.summary {
        text.push_str(&format!("\n- {sentence}"));
    }
    text
}

flowgate::flow!(handle);

#[cfg(test)]
mod tests {
    use flowgate::testing;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_saved_invoice_is_read() {
        let reply = testing::run(handle, testing::trigger().with_body(include_str!("../request.json"))).unwrap();
        let report: Value = serde_json::from_str(&reply.data.unwrap()).unwrap();
        assert_eq!((report["class"].as_str(), report["needs_review"].as_bool()), (Some("invoice"), Some(false)));
        assert_eq!(report["total"]["value"], "4879.00");
        assert_eq!(report["dates"][0]["iso"], "2026-02-27");
        assert_eq!(
            report["parties"],
            json!([
                { "role": "from", "name": "Northwind Office Supplies GmbH" },
                { "role": "bill to", "name": "Analytical Engines GmbH" },
            ])
        );
        assert!(reply.text.unwrap().starts_with("invoice-2026-0117.pdf (2 pages) is an invoice over EUR 4,879.00"));
    }

    #[test]
    fn a_document_without_text_is_refused() {
        let data = json!({
            "event": "document.extraction.completed",
            "document": { "id": "d", "filename": "f.pdf", "pages": 1 },
            "extraction": { "text": " ", "confidence": 0.9 },
        });
        let Err(Failure::InvalidInput(error)) = testing::run(handle, testing::trigger().with_data(&data.to_string()))
        else {
            panic!("accepted")
        };
        assert_eq!(error.field, "extraction.text");
    }
}
