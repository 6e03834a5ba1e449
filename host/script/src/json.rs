//! JSON to JavaScript values. The engine's own `JSON.parse` compiles its text as a program, which costs ten times as
//! much.

use boa_engine::object::builtins::JsArray;
use boa_engine::property::PropertyKey;
use boa_engine::{Context, JsNativeError, JsObject, JsResult, JsString, JsValue};

/// How deep arrays and objects may nest. The host stores 128 levels.
const MAX_DEPTH: usize = 256;

/// The value that `text` spells, as `JSON.parse` has it: keys in their order, the last of equal keys, lone surrogates
/// kept.
pub(crate) fn parse(text: &str, context: &mut Context) -> JsResult<JsValue> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    let value = parser.value(context)?;
    parser.space();
    if parser.at < text.len() {
        return Err(parser.unexpected());
    }
    Ok(value)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn unexpected(&self) -> boa_engine::JsError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(char) => format!("unexpected {char:?}"),
            None => "unexpected end".into(),
        };
        JsNativeError::syntax().with_message(format!("{found} in JSON at position {}", self.at)).into()
    }

    /// Takes `byte` and the space after it, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.at += 1;
            self.space();
        }
        next
    }

    fn value(&mut self, context: &mut Context) -> JsResult<JsValue> {
        match self.peek() {
            Some(b'{') => self.nested(context, Self::object),
            Some(b'[') => self.nested(context, Self::array),
            Some(b'"') => Ok(self.string()?.into()),
            Some(b't') => self.word("true", JsValue::from(true)),
            Some(b'f') => self.word("false", JsValue::from(false)),
            Some(b'n') => self.word("null", JsValue::null()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.unexpected()),
        }
    }

    fn nested(
        &mut self,
        context: &mut Context,
        read: fn(&mut Self, &mut Context) -> JsResult<JsValue>,
    ) -> JsResult<JsValue> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("JSON is nested deeper than {MAX_DEPTH} levels at position {}", self.at);
            return Err(JsNativeError::range().with_message(message).into());
        }
        self.at += 1;
        self.space();
        let value = read(self, context);
        self.depth -= 1;
        value
    }

    fn array(&mut self, context: &mut Context) -> JsResult<JsValue> {
        let mut items = Vec::new();
        if !self.take(b']') {
            loop {
                items.push(self.value(context)?);
                self.space();
                if self.take(b',') {
                    continue;
                }
                // What follows the bracket is for who called.
                if self.peek() == Some(b']') {
                    self.at += 1;
                    break;
                }
                return Err(self.unexpected());
            }
        }
        Ok(JsArray::from_iter(items, context).into())
    }

    fn object(&mut self, context: &mut Context) -> JsResult<JsValue> {
        let object = JsObject::with_object_proto(context.intrinsics());
        if self.take(b'}') {
            return Ok(object.into());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let key = self.string()?;
            self.space();
            if !self.take(b':') {
                return Err(self.unexpected());
            }
            let value = self.value(context)?;
            object.create_data_property_or_throw(PropertyKey::from(key), value, context)?;
            self.space();
            if self.take(b',') {
                continue;
            }
            if self.peek() == Some(b'}') {
                self.at += 1;
                return Ok(object.into());
            }
            return Err(self.unexpected());
        }
    }

    fn word(&mut self, word: &str, value: JsValue) -> JsResult<JsValue> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        Err(self.unexpected())
    }

    fn digits(&mut self) -> JsResult<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected());
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> JsResult<JsValue> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let spelled = &self.text[start..self.at];
        // -0 is not an integer of the engine.
        match spelled.parse::<i32>() {
            Ok(integer) if spelled != "-0" => Ok(integer.into()),
            _ => spelled.parse::<f64>().map(JsValue::from).map_err(|_| self.unexpected()),
        }
    }

    fn string(&mut self) -> JsResult<JsString> {
        self.at += 1;
        let start = self.at;
        // Most strings have no escapes.
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let plain = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(JsString::from(plain));
                }
                b'\\' => break,
                0..=0x1f => return Err(self.unexpected()),
                _ => self.at += 1,
            }
        }
        let mut units: Vec<u16> = self.text[start..self.at].encode_utf16().collect();
        loop {
            let Some(char) = self.text[self.at..].chars().next() else { return Err(self.unexpected()) };
            match char {
                '"' => {
                    self.at += 1;
                    return Ok(JsString::from(units.as_slice()));
                }
                '\\' => {
                    self.at += 1;
                    units.push(self.escape()?);
                }
                '\0'..='\x1f' => return Err(self.unexpected()),
                char => {
                    self.at += char.len_utf8();
                    units.extend_from_slice(char.encode_utf16(&mut [0; 2]));
                }
            }
        }
    }

    fn escape(&mut self) -> JsResult<u16> {
        let unit = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => u16::from(byte),
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => 10,
            Some(b'r') => 13,
            Some(b't') => 9,
            Some(b'u') => {
                let digits = self
                    .text
                    .get(self.at + 1..self.at + 5)
                    .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
                let unit =
                    digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()).ok_or_else(|| self.unexpected())?;
                self.at += 4;
                unit
            }
            _ => return Err(self.unexpected()),
        };
        self.at += 1;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use boa_engine::Source;
    use proptest::prelude::*;

    use super::*;

    /// What the engine makes of `JSON.stringify(ours)` and of its own parser.
    fn both(text: &str) -> (Option<String>, Option<String>) {
        let mut context = Context::default();
        let stringify = |value: JsValue, context: &mut Context| {
            let json = context.eval(Source::from_bytes("JSON.stringify")).expect("a builtin");
            let text = json
                .as_callable()
                .expect("a function")
                .call(&JsValue::undefined(), &[value], context)
                .expect("no cycles");
            text.as_string().expect("a text").to_std_string_escaped()
        };
        let ours = parse(text, &mut context).ok().map(|value| stringify(value, &mut context));
        let builtin = context.eval(Source::from_bytes("JSON.parse")).expect("a builtin");
        let theirs = builtin
            .as_callable()
            .expect("a function")
            .call(&JsValue::undefined(), &[JsString::from(text).into()], &mut context)
            .ok()
            .map(|value| stringify(value, &mut context));
        (ours, theirs)
    }

    #[test]
    fn the_same_texts_are_json_as_for_the_engine_and_mean_the_same() {
        for text in [
            "null",
            " true ",
            "false",
            "0",
            "-0",
            "1.5e3",
            "1e300",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "2147483648",
            "9007199254740993",
            "0.1",
            "\"\"",
            "\"a\\u00e9\\n\\\"\"",
            "\"\\ud83d\\ude00\"",
            "\"\u{1}\"",
            "\"é😀\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"abc",
            "[]",
            "[1, [2,3] , {}]",
            "[1,]",
            "[,]",
            "[1",
            "{}",
            "{\"b\":1,\"a\":2,\"b\":3}",
            "{\"1\":1,\"0\":0}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"__proto__\": {\"x\": 1}}",
            "[1]]",
            "nul",
            "tru",
            "",
            " ",
            "1 2",
            "\u{feff}1",
            "{\"a\":[{\"b\":null}]}",
        ] {
            let (ours, theirs) = both(text);
            assert_eq!(ours, theirs, "{text:?}");
        }
    }

    #[test]
    fn what_the_engine_gets_wrong_is_as_the_standard_has_it() {
        let mut context = Context::default();
        assert_eq!(parse("1e400", &mut context).expect("a number").as_number(), Some(f64::INFINITY));
        let lone = parse("\"\\ud800\"", &mut context).expect("a text");
        assert_eq!(lone.as_string().expect("a text").to_vec(), [0xd800]);
    }

    #[test]
    fn too_deep_nesting_is_an_error_and_no_overflow() {
        let mut context = Context::default();
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(&deep(MAX_DEPTH), &mut context).is_ok());
        assert!(parse(&deep(MAX_DEPTH + 1), &mut context).is_err());
        assert!(parse(&"[".repeat(1_000_000), &mut context).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_read_as_the_engine_reads_it(text in r#"[\[\]{}:,"\\ua0-9e.\- tnfé]{0,24}"#) {
            let (ours, theirs) = both(&text);
            prop_assert_eq!(ours, theirs);
        }
    }
}
