//! The encodings in which a text may appear in a request.
//!
//! What can be decoded is decoded before the search ([`readings`]): percent-encoding, JSON escapes, and separators
//! between the characters. What cannot is searched for in its encoded form ([`of`]): base64, hexadecimal and decimal
//! numbers, and the reversed text.

use std::borrow::Cow;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How many nested encodings are decoded.
const ROUNDS: usize = 3;

/// The forms of a text, ignoring case.
pub(crate) fn of(text: &str) -> Vec<Vec<u8>> {
    let numbers = |written: &dyn Fn(u8) -> String| text.bytes().map(written).collect::<String>();
    let mut forms = vec![
        text.to_owned(),
        numbers(&|byte| format!("{byte:02x}")),
        numbers(&|byte| format!("x{byte:02x}")),
        numbers(&|byte| format!("0x{byte:02x}")),
        numbers(&|byte| byte.to_string()),
    ];
    forms
        .extend((0..3).flat_map(|before| [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|engine| core(&engine, before, text))));
    let backwards: Vec<String> = forms.iter().map(|form| form.chars().rev().collect()).collect();
    forms.extend(backwards);
    let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let plain = forms.into_iter().flat_map(|form| [skeleton(form.as_bytes()), form.into_bytes()]);
    plain.chain([wide]).collect()
}

/// The base64 of a text that follows `before` other bytes, without the characters that the bytes before or after it
/// influence.
fn core(engine: &impl base64::Engine, before: usize, text: &str) -> String {
    let bytes = [&b"\0\0"[..before], text.as_bytes()].concat();
    let encoded = engine.encode(&bytes);
    let from = (before * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    encoded.get(from..to).unwrap_or_default().to_owned()
}

/// Letters and digits only: separators between the characters of a text, and between those of its base64, are dropped.
fn skeleton(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect()
}

/// The sent bytes as they are, and decoded as a server may read them.
pub(crate) fn readings(bytes: &[u8]) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let mut decoded = vec![Cow::Borrowed(bytes)];
    for _ in 0..ROUNDS {
        let last = decoded.last().map_or(bytes, |last| last);
        let Some(next) = decode(last) else { break };
        decoded.push(Cow::Owned(next));
    }
    decoded.into_iter().flat_map(|reading| {
        let skeleton = skeleton(&reading);
        [reading, Cow::Owned(skeleton)]
    })
}

/// Without percent-encoding and escapes; `None` if there are none.
fn decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let (decoded, left) = match first {
            b'%' => number(after, 2).map_or((Some(*first), after), |(byte, left)| (u8::try_from(byte).ok(), left)),
            b'\\' => match after {
                [b'u', digits @ ..] => match number(digits, 4) {
                    Some((unit, left)) => {
                        let char = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                        all.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                        (None, left)
                    }
                    None => (None, digits),
                },
                [b'x', digits @ ..] => {
                    number(digits, 2).map_or((None, digits), |(byte, left)| (u8::try_from(byte).ok(), left))
                }
                [b'n', left @ ..] => (Some(b'\n'), left),
                [b't', left @ ..] => (Some(b'\t'), left),
                [b'r', left @ ..] => (Some(b'\r'), left),
                [escaped, left @ ..] => (Some(*escaped), left),
                [] => (Some(*first), after),
            },
            _ => (Some(*first), after),
        };
        all.extend(decoded);
        rest = left;
    }
    (all != bytes).then_some(all)
}

/// A number of `digits` hexadecimal digits, and what follows it.
fn number(bytes: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_at_checked(digits)?;
    let number = number.iter().try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    fn is_found(text: &str, sent: &[u8]) -> bool {
        let forms = of(text);
        let forms = forms.iter().filter(|form| form.len() >= 8);
        readings(sent).any(|reading| {
            let reading = reading.to_ascii_lowercase();
            forms.clone().any(|form| reading.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form)))
        })
    }

    fn percent(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn a_text_is_found_in_every_form_and_at_every_place(
            text in "[!-~]{12,40}",
            before in "[a-z ]{0,5}",
            after in "[a-z ]{0,5}",
            separator in "[,;: \\-_./|\u{0}]{1,3}",
        ) {
            // Long enough not to occur in its surroundings by chance.
            prop_assume!(skeleton(text.as_bytes()).len() >= 8);
            let around = |middle: &str| [before.as_str(), middle, after.as_str()].concat();
            let bytes = around(&text).into_bytes();
            let json = serde_json_escaped(&text);
            let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let backwards: String = text.chars().rev().collect();
            let apart: Vec<String> = text.chars().map(String::from).collect();
            let code = |of: &dyn Fn(u8) -> String| text.bytes().map(of).collect::<Vec<_>>().join(",");
            for (form, sent) in [
                ("plain", bytes.clone()),
                ("base64", STANDARD.encode(&bytes).into_bytes()),
                ("base64url", URL_SAFE.encode(&bytes).into_bytes()),
                ("percent", percent(&bytes).into_bytes()),
                ("percent twice", percent(percent(&bytes).as_bytes()).into_bytes()),
                ("percent of base64", percent(STANDARD.encode(&bytes).as_bytes()).into_bytes()),
                ("hex", around(&code(&|byte| format!("{byte:02X}")).replace(',', "")).into_bytes()),
                ("hex apart", code(&|byte| format!("{byte:02x}")).into_bytes()),
                ("numbers", code(&|byte| format!("0x{byte:02x}")).into_bytes()),
                ("decimal", code(&|byte| byte.to_string()).into_bytes()),
                ("JSON", around(&json).into_bytes()),
                ("JSON in full", around(&code(&|byte| format!("\\u{byte:04x}")).replace(',', "")).into_bytes()),
                ("JavaScript", around(&code(&|byte| format!("\\x{byte:02x}")).replace(',', "")).into_bytes()),
                ("reversed", around(&backwards).into_bytes()),
                ("apart", around(&apart.join(&separator)).into_bytes()),
                ("apart and \
                    reversed", backwards.chars().map(String::from).collect::<Vec<_>>().join(&separator).into_bytes()),
                ("UTF-16", wide),
            ] {
                prop_assert!(is_found(&text, &sent), "{} of {:?}: {:?}", form, text, String::from_utf8_lossy(&sent));
            }
            prop_assert!(!is_found(&text, b"GET https://gmail.googleapis.com/gmail/v1/users/me/profile"));
        }
    }

    fn serde_json_escaped(text: &str) -> String {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/")
    }
}
