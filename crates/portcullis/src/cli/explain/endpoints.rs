//! How the endpoint of a request is chosen, in words.

use portcullis_config::model::{Balance, HashAlgorithm, HashBalance, Service};
use portcullis_proxy::explain::{ChosenBy, Reached, Share};

use super::text::Page;

/// How a service chooses.
pub(super) fn balance(service: &Service) -> String {
    let mut text = match &service.balance {
        Balance::RoundRobin => "in turn".to_owned(),
        Balance::LeastRequests => "the one with the fewest requests".to_owned(),
        Balance::PeakEwma { .. } => "of two the faster one".to_owned(),
        Balance::Hash(hash) => format!("by a hash of {}", hashed(hash)),
    };
    if service.sticky.is_some() {
        text.push_str(", or by the client's cookie");
    }
    if let Some(slow_start) = &service.slow_start {
        text.push_str(&format!(", slow start within {:?}", slow_start.window));
    }
    text
}

fn hashed(hash: &HashBalance) -> String {
    let parts: Vec<String> = hash.by.iter().map(ToString::to_string).collect();
    let algorithm = match hash.algorithm {
        HashAlgorithm::Maglev => "maglev",
        HashAlgorithm::Ring => "ring",
    };
    let bound = hash.bounded_load.map(|bound| format!(", load at most {bound}"));
    format!("{} ({algorithm}{})", parts.join(" and "), bound.unwrap_or_default())
}

/// What chooses this time.
pub(super) fn chosen_by(share: &Share<'_>) -> Option<String> {
    let address = |i: usize| share.endpoints.get(i).map_or("", |reached| reached.address);
    match share.chosen_by {
        ChosenBy::Balance => None,
        ChosenBy::Hash(Some(chosen)) => Some(format!("this request goes to {}", address(chosen))),
        ChosenBy::Hash(None) => None,
        ChosenBy::MissingKey => {
            Some("this request lacks what is hashed, and takes its turn".into())
        }
        ChosenBy::Cookie(chosen) => {
            Some(format!("this request goes to {}, as its cookie says", address(chosen)))
        }
    }
}

/// A line for each endpoint, and what is special this time.
pub(super) fn lines(page: &mut Page, share: &Share<'_>) {
    let width = share.endpoints.iter().map(|reached| reached.address.len()).max().unwrap_or(0);
    for reached in &share.endpoints {
        let Reached { address, weight, host, .. } = reached;
        let standing = standing(reached);
        page.more(format_args!("  {address:width$}  weight {weight:<4}  {standing}  Host: {host}"));
    }
    if share.panicking {
        page.more("  too few are available, so all are used");
    }
    if let Some(chosen) = chosen_by(share) {
        page.more(format_args!("  {chosen}"));
    }
}

/// What an endpoint gets, and why it gets nothing.
fn standing(reached: &Reached<'_>) -> String {
    let why = reached.why.map(|why| format!(" ({})", why.as_str()));
    format!("{}{}", percent(reached.share), why.unwrap_or_default())
}

/// A share with one digit behind the point, and none where it says nothing.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", (share * 1000.0).round() / 10.0)
}
