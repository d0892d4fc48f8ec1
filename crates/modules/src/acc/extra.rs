//! `log_extra`, `db_extra`, `cdr_extra`, `multi_leg_info`: names with what is to be evaluated for them.

use script::{Format, Registry, RouteContext};

/// Most legs of one call: AVPs with more values than that are a mistake.
const MAX_LEGS: usize = 64;

/// One name with its value to be.
#[derive(Debug)]
pub(super) struct Extra {
    pub(super) name: String,
    value: Format,
}

impl Extra {
    /// `None`: null.
    pub(super) fn text(&self, ctx: &RouteContext<'_>) -> Option<Vec<u8>> {
        match self.value.single() {
            Some(pv) => {
                let value = pv.get(ctx);
                (!value.is_null()).then(|| value.to_text().into_owned())
            }
            None => Some(self.value.text(ctx).into_owned()),
        }
    }
}

/// Reads `name=$pv;name=$pv`. What cannot be read is named.
pub(super) fn parse(registry: &Registry, list: &str) -> Result<Vec<Extra>, String> {
    pairs(list)?
        .into_iter()
        .map(|(name, value)| {
            let value = registry.parse_format(value.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
            Ok(Extra { name: name.to_owned(), value })
        })
        .collect()
}

fn pairs(list: &str) -> Result<Vec<(&str, &str)>, String> {
    elements(list)
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value.trim())),
            _ => Err(format!("'{pair}': expected name=$variable")),
        })
        .collect()
}

/// Splits at semicolons that stand in no parentheses.
fn elements(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    list.split(move |c: char| {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth -= 1,
            _ => {}
        }
        c == ';' && depth <= 0
    })
}

/// The values of each leg.
#[derive(Debug, Default)]
pub(super) struct Legs {
    pub(super) names: Vec<String>,
    /// By leg, then by name.
    values: Vec<Vec<Extra>>,
}

impl Legs {
    /// Reads `name=$avp(x);name=$avp(y)`.
    pub(super) fn parse(registry: &Registry, list: &str) -> Result<Legs, String> {
        let pairs = pairs(list)?;
        let names = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut values = Vec::with_capacity(MAX_LEGS);
        for leg in 0..MAX_LEGS {
            let mut row = Vec::with_capacity(pairs.len());
            for (name, value) in &pairs {
                let inner = value
                    .strip_prefix('$')
                    .filter(|v| v.starts_with("avp("))
                    .ok_or_else(|| format!("{name}={value}: a leg is told by AVPs, $avp(name)"))?;
                let text = format!("$({inner}[{leg}])");
                let value = registry.parse_format(text.as_bytes()).map_err(|e| format!("{name}: {e}"))?;
                row.push(Extra { name: (*name).to_owned(), value });
            }
            values.push(row);
        }
        Ok(Legs { names, values })
    }

    /// The legs of this call, each with one value per name. At least one, all of whose values may be null.
    pub(super) fn of(&self, ctx: &RouteContext<'_>) -> Vec<Vec<Option<Vec<u8>>>> {
        let mut legs = Vec::new();
        for row in &self.values {
            let leg: Vec<_> = row.iter().map(|extra| extra.text(ctx)).collect();
            if leg.iter().all(Option::is_none) && !legs.is_empty() {
                break;
            }
            let last = leg.iter().all(Option::is_none);
            legs.push(leg);
            if last {
                break;
            }
        }
        if legs.is_empty() {
            legs.push(Vec::new());
        }
        legs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_parentheses() {
        assert_eq!(
            pairs("a=$fU; b=$(ru{uri.param,x;y}) ;"),
            Ok(vec![("a", "$fU"), ("b", "$(ru{uri.param,x;y})")])
        );
        assert!(pairs("a").is_err() && pairs("=b").is_err());
        assert_eq!(pairs(""), Ok(vec![]));
    }
}
