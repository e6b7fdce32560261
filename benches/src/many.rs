//! Many flows, and who calls which of them.

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;

use crate::house::{Api, Furniture};

/// Components that differ. Each takes its time to be compiled, so that ten thousand flows share these.
const COMPONENTS_MAX: usize = 100;

/// Flows that are made at one time.
const AT_ONCE: usize = 16;

/// Requests after which the mix begins again.
const MIX: usize = 1 << 16;

/// Makes so many flows of one component, each with a hook, and returns the paths of the hooks.
pub async fn register(api: &Api, furniture: &Furniture, flows: usize) -> Result<Vec<String>> {
    let file = &furniture.component;
    let component = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut makers = JoinSet::new();
    for maker in 0..AT_ONCE.min(flows) {
        let (api, furniture, component) = (api.clone(), furniture.clone(), component.clone());
        makers.spawn(async move {
            let mut made = Vec::new();
            for number in (maker..flows).step_by(AT_ONCE) {
                let name = format!("flow-{number}");
                let component = marked(&component, &(number % COMPONENTS_MAX).to_string());
                api.flow_of(&name, &component, furniture.reuse_max).await?;
                made.push((number, api.hook(&name, &furniture).await?));
            }
            anyhow::Ok(made)
        });
    }
    let mut all = Vec::new();
    while let Some(made) = makers.join_next().await {
        all.extend(made??);
    }
    all.sort_unstable();
    Ok(all.into_iter().map(|(_, path)| path).collect())
}

/// A component with a section at its end that holds `mark`, so that its digest is another.
pub fn marked(component: &[u8], mark: &str) -> Vec<u8> {
    let name = b"mark";
    let length = u8::try_from(1 + name.len() + mark.len()).expect("a mark is short");
    [component, &[0, length, name.len() as u8], name, mark.as_bytes()].concat()
}

/// Who is called, one after the other, out of so many: the second half as often as the first, the third a third as often,
/// and so on. The same each time.
pub fn zipf(of: usize) -> Vec<u32> {
    let mut sum = 0.0;
    let bounds: Vec<f64> = (1..=of)
        .map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        })
        .collect();
    let mut chance = StdRng::seed_from_u64(1);
    let mut pick = || {
        let at = chance.random::<f64>() * sum;
        bounds.partition_point(|bound| *bound <= at).min(of - 1) as u32
    };
    (0..MIX).map(|_| pick()).collect()
}

/// So many, each once, in an order that leaps. The same each time.
pub fn shuffled(of: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..of as u32).collect();
    order.shuffle(&mut StdRng::seed_from_u64(1));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_section() {
        let component = b"\0asm\x0d\0\x01\0";
        let marked = marked(component, "23");
        assert_eq!(marked[8..], *b"\x00\x07\x04mark23");
        assert!(wat::parse_bytes(&marked).is_ok());
    }

    #[test]
    fn the_first_is_called_twice_as_often_as_the_second() {
        let mix = zipf(100);
        let calls = |which| mix.iter().filter(|called| **called == which).count() as f64;
        assert!((calls(0) / calls(1) - 2.0).abs() < 0.2, "{} and {}", calls(0), calls(1));
        assert!(mix.contains(&99) && mix.iter().all(|called| *called < 100));
    }
}
