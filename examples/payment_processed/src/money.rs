//! Money as whole numbers of the smallest unit, so that no cent is lost to binary fractions.

/// A currency and how many decimals it has (ISO 4217).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Currency {
    code: String,
    pub(crate) decimals: usize,
}

impl Currency {
    pub(crate) fn parse(code: &str) -> Option<Self> {
        let well_formed = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let decimals = match code {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV"
            | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        };
        well_formed.then(|| Self { code: code.to_owned(), decimals })
    }

    /// `120.5` as 12050 for two decimals. None for what is no such amount or too large.
    pub(crate) fn minor(&self, text: &str) -> Option<i64> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dangling = text.contains('.') && fraction.is_empty();
        if whole.is_empty() || dangling || fraction.len() > self.decimals || !digits(whole) || !digits(fraction) {
            return None;
        }
        format!("{whole}{fraction:0<width$}", width = self.decimals).parse().ok()
    }

    /// `1249.90 EUR`.
    pub(crate) fn text(&self, minor: i64) -> String {
        let sign = if minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", minor.unsigned_abs(), width = self.decimals + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.decimals);
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction} {}", self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_in_every_currency() {
        for (code, text, minor, shown) in [
            ("EUR", "0.1", 10, "0.10 EUR"),
            ("EUR", "1249.90", 124_990, "1249.90 EUR"),
            ("JPY", "500", 500, "500 JPY"),
            ("KWD", "1.005", 1005, "1.005 KWD"),
        ] {
            let currency = Currency::parse(code).unwrap();
            assert_eq!(currency.minor(text), Some(minor));
            assert_eq!(currency.text(minor), shown);
        }
    }

    #[test]
    fn decimals_that_the_currency_lacks_are_refused() {
        assert_eq!(Currency::parse("JPY").unwrap().minor("1.5"), None);
        assert_eq!(Currency::parse("EUR").unwrap().minor("1."), None);
        assert_eq!(Currency::parse("eur"), None);
    }
}
