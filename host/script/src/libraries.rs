//! What some charms use and most do not: files of `js/` that are evaluated at their first use, so that nobody else pays
//! for them.

use std::path::Path;

use boa_engine::{Context, JsArgs as _, JsResult, JsString, JsValue, Source};

use crate::builtins::{Native, fault};
use crate::tasks::OWN_MODULE;

/// What `natives` offers of this file.
pub(crate) const FUNCTIONS: [(&str, Native, usize); 1] = [("library", library, 1)];

/// A library, as a function of what it stands on.
struct Library {
    name: &'static str,
    source: &'static str,
    /// The global by which programs use it; none of a package, which is evaluated when it is imported.
    global: Option<Global>,
}

/// A global that evaluates a library.
struct Global {
    name: &'static str,
    /// What is in each program that uses it, itself or by what stands on it.
    words: &'static [&'static str],
}

const LIBRARIES: [Library; 3] = [
    Library {
        name: "intl",
        source: concat!(
            "(function (host, inspect, toDOMString, localCompare) { \"use strict\";\n",
            include_str!("js/intl/base.js"),
            include_str!("js/intl/numbers.js"),
            include_str!("js/intl/zones.js"),
            include_str!("js/intl/dates.js"),
            include_str!("js/intl/texts.js"),
            include_str!("js/intl/all.js"),
            "})"
        ),
        global: Some(Global { name: "Intl", words: &["Intl", "toLocale"] }),
    },
    Library {
        name: "blob",
        source: concat!(
            "(function (host, bytesOf, toUSV, utf8, define) { \"use strict\";\n",
            include_str!("js/blob/blob.js"),
            "})"
        ),
        global: Some(Global { name: "Blob", words: &["Blob", "File("] }),
    },
    Library {
        name: "turndown",
        source: concat!("(function (host) { \"use strict\";\n", include_str!("js/packages/turndown.js"), "})"),
        global: None,
    },
];

/// A module of the program is about to be parsed. What it will use is evaluated now: a program that is loaded once has
/// it ready at each of its calls.
pub(crate) fn prepare(module: &str, context: &mut Context) -> JsResult<()> {
    let globals = LIBRARIES.iter().filter_map(|library| library.global.as_ref());
    for global in globals.filter(|global| global.words.iter().any(|word| module.contains(word))) {
        context.global_object().get(JsString::from(global.name), context)?;
    }
    Ok(())
}

fn library(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let name = args.get_or_undefined(0).as_string().map(|name| name.to_std_string_lossy()).unwrap_or_default();
    let library = LIBRARIES.iter().find(|library| library.name == name);
    let library = library.ok_or_else(|| fault(format!("there is no library {name:?}")))?;
    context.eval(Source::from_bytes(library.source).with_path(Path::new(OWN_MODULE)))
}
