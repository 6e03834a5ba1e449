//! Says what an error of the engine is about, from the place in the module where it was thrown.
//!
//! The engine says that something can't be converted, called or constructed, and where. What it was is in the module.
//! The transpiler names most of what is read (`__none`), which is left out here.

/// The longest expression in a message, characters.
const MAX_TEXT: usize = 80;

/// A message that names what is at a line and column of a module, both counted from 1, if that is known.
pub(crate) fn named(message: &str, module: &str, line: u32, column: u32) -> Option<String> {
    if let Some(message) = reworded(message) {
        return Some(message);
    }
    // What a module does not declare, it can't name; the engine says so of what it declares further down.
    if let Some(name) = message.strip_prefix("ReferenceError: ").and_then(|error| error.strip_suffix(" is not defined"))
    {
        return declares(module, name).then(|| format!("ReferenceError: Cannot access '{name}' before initialization"));
    }
    let text = module.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let chars: Vec<char> = text.chars().collect();
    // Columns count UTF-16 units or characters; they are the same in what this is about.
    let at = usize::try_from(column).ok()?.checked_sub(1).filter(|at| *at < chars.len())?;
    let error = message.strip_prefix("TypeError: ")?;
    // A call is where its arguments begin, or where its name does.
    let name = chars[at..].iter().take_while(|char| is_name(**char)).count();
    let call = Some(at + name).filter(|call| chars.get(*call) == Some(&'('));
    // What the engine's own function was called with, in which it found a fault.
    let whole = || {
        let call = call?;
        let start = beginning(&chars, call);
        let start = if chars[..start].ends_with(&['n', 'e', 'w', ' ']) { start - 4 } else { start };
        Some(written(&chars[start..=closing(&chars, call)].iter().collect::<String>()))
    };
    match error {
        // Its own functions have no places: the place is that of the call.
        "cannot convert null or undefined to Object" => {
            Some(format!("TypeError: Cannot convert undefined or null to object: {}", whole()?))
        }
        _ if error.ends_with("allbackfn is not callable") || error.ends_with("callback function is not callable") => {
            Some(format!("TypeError: the callback is not a function: {}", whole()?))
        }
        "The comparison function must be either a function or undefined" => {
            Some(format!("TypeError: {error}: {}", whole()?))
        }
        // A function of the engine's, which has no place of its own.
        "cannot convert 'null' or 'undefined' to object" if call == Some(at) => {
            let start = beginning(&chars, at);
            if start == at {
                return None;
            }
            let call: String = chars[start..=closing(&chars, at)].iter().collect();
            Some(format!("TypeError: Cannot convert undefined or null to object: {}", written(&call)))
        }
        "cannot convert 'null' or 'undefined' to object" => {
            let name: String = chars[at..at + name].iter().collect();
            let before = chars[..at].iter().rposition(|char| !char.is_whitespace())?;
            if name.is_empty() || chars[before] != '.' {
                return None;
            }
            let object: String = chars[beginning(&chars, before)..before].iter().collect();
            // `this` is never null unless somebody calls the function so.
            let nothing = if object == "this" { "undefined" } else { "null or undefined" };
            let object = written(&object);
            let rest: Vec<char> =
                chars[at + name.chars().count()..].iter().copied().filter(|char| *char != ' ').take(2).collect();
            if rest.first() == Some(&'=') && !matches!(rest.get(1), Some('=' | '>')) {
                return Some(format!(
                    "TypeError: Cannot set properties of {nothing} (setting '{name}'): {object} is {nothing}"
                ));
            }
            Some(format!("TypeError: Cannot read properties of {nothing} (reading '{name}'): {object} is {nothing}"))
        }
        "not a callable function" => {
            // A tag stands before its template.
            let call = call.or_else(|| Some(at + name).filter(|tag| chars.get(*tag) == Some(&'`')))?;
            let callee = chained(&chars, beginning(&chars, call), call);
            (!callee.is_empty()).then(|| format!("TypeError: {callee} is not a function"))
        }
        "not a constructor" => {
            let rest: String = chars[at..].iter().collect();
            let rest = written(rest.strip_prefix("new ")?);
            let rest: Vec<char> = rest.trim_start_matches('(').chars().collect();
            let end = rest.iter().position(|char| !is_name(*char) && *char != '.').unwrap_or(rest.len());
            let name: String = rest[..end].iter().collect();
            (!name.is_empty()).then(|| format!("TypeError: {name} is not a constructor"))
        }
        _ => None,
    }
}

/// The words of V8 for what the engine says without a place or a name.
pub(crate) fn reworded(message: &str) -> Option<String> {
    let (kind, error) = message.split_once(": ")?;
    let quoted = |before: &str, after: &str| error.strip_prefix(before)?.strip_suffix(after);
    let reworded = match error {
        "access of uninitialized binding" => "Cannot access a variable before initialization".to_owned(),
        "right-hand side of 'instanceof' is not callable" => {
            "Right-hand side of 'instanceof' is not callable".to_owned()
        }
        _ if error.ends_with(" while allocating data block") => {
            "Array buffer allocation failed: there is not enough memory left".to_owned()
        }
        _ if quoted("right-hand side of 'instanceof' should be an object, got `", "`").is_some() => {
            "Right-hand side of 'instanceof' is not an object".to_owned()
        }
        _ => {
            if let Some(value) = quoted("Cannot destructure '", "' value") {
                format!("Cannot destructure '{value}' as it is {value}.")
            } else if let Some(value) = quoted("value with type `", "` is not iterable") {
                format!("{value} is not iterable (cannot read property Symbol(Symbol.iterator))")
            } else {
                let value = quoted("right-hand side of 'in' should be an object, got `", "`")?;
                format!("Cannot use 'in' operator to search in a {value}")
            }
        }
    };
    Some(format!("{kind}: {reworded}"))
}

/// Whether a module has a variable or class of that name.
fn declares(module: &str, name: &str) -> bool {
    ["const", "let", "class"].iter().any(|kind| {
        let declaration = format!("{kind} {name}");
        module.split(&declaration).skip(1).any(|rest| !rest.starts_with(is_name))
    })
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_' || char == '$'
}

/// Where the expression begins that ends before `end`: names, parts of them, and what is in brackets.
fn beginning(chars: &[char], end: usize) -> usize {
    let mut start = end;
    while let Some(before) = start.checked_sub(1) {
        match chars[before] {
            char if is_name(char) || char == '.' || char == '?' => start = before,
            ')' | ']' => match opening(chars, before) {
                Some(open) => start = open,
                None => break,
            },
            _ => break,
        }
    }
    start
}

/// The bracket that one closes.
fn opening(chars: &[char], close: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for at in (0..=close).rev() {
        match chars[at] {
            ')' | ']' | '}' => depth += 1,
            '(' | '[' | '{' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The bracket that closes one, or the end.
fn closing(chars: &[char], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, char) in chars.iter().enumerate().skip(open) {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len() - 1
}

/// The expression at a place as its author wrote it. Of a chain, which the transpiler has written as
/// `(__nil = a) == null ? void 0 : __nil.b`, that is `a?.b`.
fn chained(chars: &[char], start: usize, end: usize) -> String {
    const KEPT: &str = "__nil = ";
    let text = written(&chars[start..end].iter().collect::<String>());
    let Some(rest) = text.strip_prefix("__nil") else { return text };
    let before: String = chars[..start].iter().collect();
    // What is kept for a later part of the chain begins with an earlier one.
    let before = before.strip_suffix(KEPT).unwrap_or(&before).trim_end_matches('(');
    let close = before.strip_suffix(" == null ? void 0 : ").and_then(|before| before.chars().count().checked_sub(1));
    let open = close.filter(|close| chars[*close] == ')').and_then(|close| Some((opening(chars, close)?, close)));
    let Some((open, close)) = open else { return text };
    let first = open + 1 + KEPT.len();
    if first >= close || !chars[open + 1..first].iter().copied().eq(KEPT.chars()) {
        return text;
    }
    let first = chained(chars, first, close);
    if rest.is_empty() { first } else { format!("{first}?{rest}") }
}

/// An expression as its author wrote it, without what the transpiler has put in:
/// `(a.b ?? __none("reading", "c", "a.b", a.b))`, and `((__nil = f()) ?? __none("reading", "c", "f()", __nil))`.
fn written(expression: &str) -> String {
    let mut text = expression.to_owned();
    while let Some(inserted) = text.find("__none(") {
        // After `new`, the call is in brackets of its own.
        let before = text[..inserted].trim_end_matches('(');
        let brackets = inserted - before.len();
        let Some(left) = before.strip_suffix(" ?? ") else { break };
        let (at, call) = (left.chars().count(), text[..inserted].chars().count() + "__none".len());
        let chars: Vec<char> = text.chars().collect();
        // The bracket around it opens where it closes right after.
        let close = closing(&chars, call) + brackets + 1;
        let open = chars.get(close).filter(|char| **char == ')').and_then(|_| opening(&chars, close));
        let Some(open) = open.filter(|open| *open < at) else { break };
        let left: String = chars[open + 1..at].iter().collect();
        let left = left.strip_prefix("(__nil = ").and_then(|left| left.strip_suffix(')')).unwrap_or(&left);
        let [before, after] = [&chars[..open], &chars[close + 1..]].map(|part| part.iter().collect::<String>());
        text = format!("{before}{left}{after}");
    }
    if text.chars().count() > MAX_TEXT {
        text = text.chars().take(MAX_TEXT).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_function_of_the_engine_was_called_with_is_named_by_its_call() {
        for (message, module, column, expected) in [
            ("TypeError: not a callable function", "a(o.y`z`)", 5, "o.y is not a function"),
            (
                "TypeError: cannot convert null or undefined to Object",
                "a(Object.fromEntries(o.n))",
                21,
                "Cannot convert undefined or null to object: Object.fromEntries(o.n)",
            ),
            (
                "TypeError: Array.prototype.map: Callbackfn is not callable",
                "a([1, 2].map(o.n), 3)",
                13,
                "the callback is not a function: [1, 2].map(o.n)",
            ),
            (
                "TypeError: Array.prototype.reduce: callback function is not callable",
                "a(list().reduce(o.n, 0))",
                16,
                "the callback is not a function: list().reduce(o.n, 0)",
            ),
            (
                "TypeError: The comparison function must be either a function or undefined",
                "list.sort(5)",
                6,
                "The comparison function must be either a function or undefined: list.sort(5)",
            ),
        ] {
            let named = named(message, module, 1, column);
            assert_eq!(named.as_deref(), Some(&*format!("TypeError: {expected}")), "{module}");
        }
    }

    #[test]
    fn what_an_error_is_about_is_named_where_the_place_says_so() {
        let convert = "TypeError: cannot convert 'null' or 'undefined' to object";
        let call = "TypeError: not a callable function";
        let new = "TypeError: not a constructor";
        for (message, module, column, expected) in [
            (
                convert,
                "x(this.name.length)",
                8,
                "Cannot read properties of undefined (reading 'name'): this is undefined",
            ),
            (
                convert,
                "f(a)[1].b",
                9,
                "Cannot read properties of null or undefined (reading 'b'): f(a)[1] is null or undefined",
            ),
            (convert, "a(Object.entries(o.n))", 17, "Cannot convert undefined or null to object: Object.entries(o.n)"),
            (call, "1 + o.y(2)", 8, "o.y is not a function"),
            (
                call,
                r#"((o.y ?? __none("reading", "z", "o.y", o.y)).z ?? __none("reading", "q", "o.y.z", o.y.z)).q(1)"#,
                92,
                "o.y.z.q is not a function",
            ),
            (
                call,
                r#"((__nil = o.y()) ?? __none("reading", "z", "o.y()", __nil)).z(1)"#,
                62,
                "o.y().z is not a function",
            ),
            (call, "(__nil = o.a) == null ? void 0 : __nil.y(1)", 41, "o.a?.y is not a function"),
            (call, "(__nil = o) == null ? void 0 : __nil(1)", 37, "o is not a function"),
            (
                call,
                "(__nil = o) == null ? void 0 : (__nil = __nil.a) == null ? void 0 : __nil.y(1)",
                76,
                "o?.a?.y is not a function",
            ),
            (
                call,
                r#"(__nil = (s ?? __none("reading", "a", "s", s)).a) == null ? void 0 : (__nil.b ?? __none("reading", "y", "s.a?.b", __nil.b)).y(1)"#,
                126,
                "s.a?.b.y is not a function",
            ),
            (new, "a = new X.Y(1)", 5, "X.Y is not a constructor"),
            (new, r#"a = new (X ?? (__none("reading", "Y", "X", X))).Y(1)"#, 5, "X.Y is not a constructor"),
            (new, r#"a = new ((X ?? __none("reading", "Y", "X", X)).Y)(1)"#, 5, "X.Y is not a constructor"),
        ] {
            let named = named(message, module, 1, column);
            assert_eq!(named.as_deref(), Some(&*format!("TypeError: {expected}")), "{module}");
        }
        for (error, module, expected) in [
            ("x is not defined", "f(x); const x = 1", Some("Cannot access 'x' before initialization")),
            ("x is not defined", "f(x); const xs = 1", None),
            ("access of uninitialized binding", "f(x)", Some("Cannot access a variable before initialization")),
        ] {
            let expected = expected.map(|expected| format!("ReferenceError: {expected}"));
            assert_eq!(named(&format!("ReferenceError: {error}"), module, 1, 3), expected, "{module}");
        }
        for (error, expected) in [
            ("Cannot destructure 'undefined' value", "Cannot destructure 'undefined' as it is undefined."),
            (
                "value with type `undefined` is not iterable",
                "undefined is not iterable (cannot read property Symbol(Symbol.iterator))",
            ),
            (
                "right-hand side of 'instanceof' should be an object, got `number`",
                "Right-hand side of 'instanceof' is not an object",
            ),
            ("right-hand side of 'instanceof' is not callable", "Right-hand side of 'instanceof' is not callable"),
            (
                "right-hand side of 'in' should be an object, got `string`",
                "Cannot use 'in' operator to search in a string",
            ),
            (
                "invalid layout Layout { size: 9, align: 64 } while allocating data block",
                "Array buffer allocation failed: there is not enough memory left",
            ),
        ] {
            let named = named(&format!("TypeError: {error}"), "", 1, 1);
            assert_eq!(named.as_deref(), Some(&*format!("TypeError: {expected}")));
        }
        let set = named(convert, "a.b = f()", 1, 3);
        assert_eq!(
            set.as_deref(),
            Some("TypeError: Cannot set properties of null or undefined (setting 'b'): a is null or undefined")
        );
        for (message, module, column) in [
            (convert, "x = [...y]", 1),
            (convert, "x == y", 1),
            (convert, "", 1),
            (convert, "(", 1),
            (convert, "a.b", 9),
            (call, "(1)(2)", 99),
            (call, "((((", 4),
            ("TypeError: other", "a.b", 3),
            ("RangeError: cannot convert 'null' or 'undefined' to object", "a.b", 3),
        ] {
            assert_eq!(named(message, module, 1, column), None, "{module}");
        }
    }
}
