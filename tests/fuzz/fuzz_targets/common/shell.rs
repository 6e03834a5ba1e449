//! Parses command lines like a shell.

/// The value of an option written `--option value`, with the value in single quotes if needed.
pub fn value(line: &str, option: &str) -> Option<String> {
    let written = line.strip_prefix(option)?.strip_prefix(' ')?;
    let mut value = String::new();
    let mut chars = written.chars();
    let mut quoted = false;
    while let Some(char) = chars.next() {
        match char {
            '\'' => quoted = !quoted,
            '\\' if !quoted => value.push(chars.next()?),
            _ if quoted || char.is_ascii_alphanumeric() || "-._/:=,@%+".contains(char) => value.push(char),
            // A shell would interpret it.
            _ => return None,
        }
    }
    (!quoted).then_some(value)
}
