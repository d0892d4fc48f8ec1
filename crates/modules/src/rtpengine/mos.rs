//! Quality of a call (MOS and what it is made of) from the answer to `query` and `delete`, into variables of the script.

use std::sync::LazyLock;

use script::{ModParam, ParamType};

use super::bencode::{Dict, Value};

/// Which legs.
const LEGS: [&str; 3] = ["", "_A", "_B"];
/// Which value, its name at the relay, and its fields: name in the parameter, name at the relay.
const VALUES: [(&str, &str, &[(&str, &str)]); 3] =
    [("min", "lowest MOS", EXTREME), ("max", "highest MOS", EXTREME), ("average", "average MOS", AVERAGE)];
const EXTREME: &[(&str, &str)] = &[
    ("", "MOS"),
    ("_at", "reported at"),
    ("_packetloss", "packet loss"),
    ("_jitter", "jitter"),
    ("_roundtrip", "round-trip time"),
    ("_roundtrip_leg", "round-trip time leg"),
];
const AVERAGE: &[(&str, &str)] = &[
    ("", "MOS"),
    ("_packetloss", "packet loss"),
    ("_jitter", "jitter"),
    ("_roundtrip", "round-trip time"),
    ("_roundtrip_leg", "round-trip time leg"),
    ("_samples", "samples"),
];

/// The parameters: `mos_min_pv`, `mos_min_at_A_pv`, ...
pub(super) static PARAMS: LazyLock<Vec<ModParam>> = LazyLock::new(|| {
    let mut all = vec![
        row(
            "mos_A_label_pv",
            "Variable with the label (`label=`) of the legs that the variables with `_A` are about.",
        ),
        row(
            "mos_B_label_pv",
            "Variable with the label (`label=`) of the legs that the variables with `_B` are about.",
        ),
    ];
    for leg in LEGS {
        for (value, _, fields) in VALUES {
            for (field, what) in fields {
                let name: &'static str = format!("mos_{value}{field}{leg}_pv").leak();
                let legs = if leg.is_empty() {
                    "all legs".to_owned()
                } else {
                    format!("legs with the label of `mos{leg}_label_pv`")
                };
                let doc: &'static str = format!(
                    "Variable that gets, after delete and query, {what} where MOS was {value} ({legs})."
                )
                .leak();
                all.push(row(name, doc));
            }
        }
    }
    all
});

const fn row(name: &'static str, doc: &'static str) -> ModParam {
    ModParam { name, kind: ParamType::Str, doc }
}

/// Values by parameter name, for one group of legs: those with the label, or all.
pub(super) fn values(answer: &Dict, leg: &str, label: Option<&[u8]>) -> Vec<(String, String)> {
    let wanted = label.map(|label| sources(answer, label));
    let all: Vec<&Dict> = answer
        .dict("SSRC")
        .map(|d| {
            let named = |name: &[u8]| {
                wanted.as_ref().is_none_or(|w| w.iter().any(|n| n.to_string().as_bytes() == name))
            };
            d.0.iter().filter(|(n, _)| named(n)).filter_map(|(_, v)| v.as_dict()).collect()
        })
        .unwrap_or_default();
    let mut out = Vec::new();
    for (value, name, fields) in VALUES {
        let mut found: Vec<&Dict> = all.iter().filter_map(|d| d.dict(name)).collect();
        let mos = |d: &Dict| d.get("MOS").and_then(Value::as_int).unwrap_or(0);
        found.retain(|d| mos(d) > 0);
        match value {
            "min" => found.sort_by_key(|d| mos(d)),
            "max" => found.sort_by_key(|d| -mos(d)),
            _ => {}
        }
        for (field, what) in fields {
            let numbers: Vec<i64> =
                found.iter().filter_map(|d| d.get(what).and_then(Value::as_int)).collect();
            let number = match (value, *field) {
                ("average", "_samples") => numbers.iter().copied().reduce(i64::saturating_add),
                ("average", "") => {
                    let Some(sum) = numbers.iter().copied().reduce(i64::saturating_add) else { continue };
                    let mean = sum as f64 / numbers.len() as f64 / 10.0;
                    out.push((format!("mos_{value}{field}{leg}_pv"), format!("{mean:.1}")));
                    continue;
                }
                ("average", _) => numbers
                    .iter()
                    .copied()
                    .reduce(i64::saturating_add)
                    .map(|sum| sum / numbers.len().max(1) as i64),
                _ => found.first().and_then(|d| d.get(what).and_then(Value::as_int)),
            };
            let Some(number) = number else { continue };
            let text = match *field {
                "" => format!("{:.1}", number as f64 / 10.0),
                // Seconds since the call began.
                "_at" => {
                    let since = number
                        .saturating_sub(answer.get("created").and_then(Value::as_int).unwrap_or(number));
                    format!("{}:{:02}", since / 60, since.rem_euclid(60))
                }
                _ => number.to_string(),
            };
            out.push((format!("mos_{value}{field}{leg}_pv"), text));
        }
    }
    out
}

/// SSRCs of the streams that legs with a label receive.
fn sources(answer: &Dict, label: &[u8]) -> Vec<i64> {
    let mut found = Vec::new();
    let Some(tags) = answer.dict("tags") else { return found };
    for tag in tags.0.iter().filter_map(|(_, v)| v.as_dict()).filter(|t| t.text("label") == Some(label)) {
        let medias = tag.get("medias").map(Value::as_list).unwrap_or_default();
        for media in medias.iter().filter_map(Value::as_dict) {
            let streams = media.get("streams").map(Value::as_list).unwrap_or_default();
            found.extend(streams.iter().filter_map(|s| s.as_dict()?.get("SSRC")?.as_int()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_the_best_and_the_mean() {
        let one = |mos: i64, at: i64| {
            format!(
                "d3:MOSi{mos}e11:packet lossi3e6:jitteri2e15:round-trip timei500e11:reported ati{at}e7:samplesi4ee"
            )
        };
        let ssrc = |mos: i64| {
            format!(
                "d11:average MOS{}10:lowest MOS{}11:highest MOS{}e",
                one(mos, 0),
                one(mos - 1, 160),
                one(mos + 1, 130)
            )
        };
        let text = format!(
            "d7:createdi100e4:SSRCd1:7{}1:8{}e4:tagsd1:fd5:label1:A6:mediasld7:streamsld4:SSRCi8eeeeeeee",
            ssrc(43),
            ssrc(33)
        );
        let Some(Value::Dict(answer)) = Value::read(text.as_bytes()) else { panic!("{text}") };
        let find = |leg: &str, label: Option<&[u8]>, name: &str| {
            values(&answer, leg, label).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
        };
        for (name, value) in [
            ("mos_min_pv", "3.2"),
            ("mos_min_at_pv", "1:00"),
            ("mos_max_pv", "4.4"),
            ("mos_average_pv", "3.8"),
            ("mos_average_samples_pv", "8"),
            ("mos_average_roundtrip_pv", "500"),
        ] {
            assert_eq!(find("", None, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(find("_A", Some(b"A"), "mos_max_A_pv").as_deref(), Some("3.4"));
        assert_eq!(find("_B", Some(b"B"), "mos_max_B_pv"), None);
        assert_eq!(PARAMS.len(), 2 + 3 * 18);
    }
}
