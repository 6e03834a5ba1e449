//! The package `turndown`.

use serde_json::{Value, json};

use super::{Charm, expect_each_of};

/// What version 7.2.5 of the package itself makes of mails: the shorter ones of what `turndown/mails.mjs` writes.
const RECORDED: &str = include_str!("turndown/mails.jsonl");

/// A charm whose handler has the package at hand.
fn importing(body: &str) -> Charm {
    Charm::new(&format!(
        "import TurndownService from 'turndown';\nimport {{ pattern, handler, Cell }} from 'commontools';\n\
         const to = (html, options) => new TurndownService(options).turndown(html);\n\
         const run = handler(async (event, {{ out }}) => {{ {body} }});\n\
         export default pattern(() => {{ const out = Cell.of(null); return {{ out, run: run({{ out }}) }}; }});"
    ))
}

/// What the charm makes of mails.
fn converted(mails: &[Value]) -> Vec<Value> {
    let charm = importing("out.set(event.mails.map(({ html, options }) => to(html, options)));");
    charm.setup("{}").expect("a charm");
    charm.handle("run", &json!({ "mails": mails }).to_string()).expect("converts");
    charm.cell("out").as_array().expect("a list").clone()
}

#[test]
fn mails_become_what_the_package_makes_of_them() {
    let mails: Vec<Value> = RECORDED.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(mails.len() >= 60);
    for (mail, markdown) in mails.iter().zip(converted(&mails)) {
        assert_eq!(markdown, mail["markdown"], "{} {}", mail["options"], mail["html"]);
    }
}

#[test]
fn a_charm_has_rules_of_its_own() {
    expect_each_of(
        importing,
        &[
            (
                "new TurndownService().addRule('x', { filter: ['style'], replacement: () => '' }).turndown('<style>p {}</style><p>a</p>')",
                json!("a"),
            ),
            ("to('<style>p {}</style><p>a</p>')", json!("p {}\n\na")),
            (
                "new TurndownService().addRule('x', { filter: ['del', 's'], replacement: (content) => `~~${content}~~` }).turndown('<p>a <s>b</s> <del>c</del></p>')",
                json!("a ~~b~~ ~~c~~"),
            ),
            (
                "new TurndownService().addRule('x', { filter: 'p', replacement: (content, node, options) => `[${content}|${node.nodeName}|${options.hr}]` }).turndown('<p>a</p>')",
                json!("[a|P|\\* * *]".replace('\\', "")),
            ),
            // The latest of several, before the package's own; both with the rule as `this`.
            (
                "new TurndownService().addRule('a', { filter: 'b', replacement: () => '1' }).addRule('b', { mark: '2', filter(node) { return node.nodeName === 'B' && this.mark === '2'; }, replacement() { return this.mark; } }).turndown('<b>x</b>')",
                json!("2"),
            ),
            (
                "(() => { const seen = []; new TurndownService().addRule('x', { filter: (node) => { seen.push(node.nodeName + node.isBlock); return false; }, replacement: () => '' }).turndown('<div><svg>a</svg><b>b</b> </div>'); return seen; })()",
                json!(["DIVtrue", "svgfalse", "Bfalse"]),
            ),
            (
                "new TurndownService().addRule('x', { filter: 'hr', replacement: () => '', append: () => 'end' }).turndown('a<hr>b')",
                json!("abend"),
            ),
            (
                "new TurndownService().addRule('x', { filter: 7 }).turndown('<b>a</b>')",
                json!("TypeError: `filter` needs to be a string, array, or function"),
            ),
            (
                "new TurndownService().addRule('x', { filter: 'b', replacement: () => { throw new RangeError('mine'); } }).turndown('<b>a</b>')",
                json!("RangeError: mine"),
            ),
            (
                "(() => { const inner = new TurndownService(); return new TurndownService().addRule('x', { filter: 'u', replacement: (_, node) => inner.turndown(node) + inner.turndown(node.innerHTML) }).turndown('<u><i>a</i></u>'); })()",
                json!("_a__a_"),
            ),
        ],
    );
}

#[test]
fn rules_see_the_nodes_of_the_document() {
    let of = |code: &str| {
        format!(
            "(() => {{ let seen; new TurndownService().addRule('x', {{ filter: 'td', replacement: (content, node) => {{ seen = {code}; return content; }} }}).turndown('<table><tr><!-- --><td id=a class=\"b c\" title=T>x <b>y</b><i>z</i></td></tr></table>'); return seen; }})()"
        )
    };
    let cases = [
        (
            "[node.id, node.className, node.title, node.getAttribute('ID'), node.getAttribute('no'), node.hasAttribute('class')]",
            json!(["a", "b c", "T", "a", null, true]),
        ),
        ("[node.classList.contains('c'), node.classList.length]", json!([true, 2])),
        (
            "node.attributes",
            json!([{"name": "id", "value": "a"}, {"name": "class", "value": "b c"}, {"name": "title", "value": "T"}]),
        ),
        (
            "[node.nodeName, node.tagName, node.localName, node.nodeType, node.nodeValue]",
            json!(["TD", "TD", "td", 1, null]),
        ),
        (
            "[node.textContent, node.innerHTML, node.outerHTML]",
            json!(["x yz", "x <b>y</b><i>z</i>", "<td id=\"a\" class=\"b c\" title=\"T\">x <b>y</b><i>z</i></td>"]),
        ),
        (
            "[node.childNodes.length, node.children.length, node.childElementCount, node.hasChildNodes()]",
            json!([3, 2, 2, true]),
        ),
        (
            "[node.firstChild.nodeValue, node.firstChild.data, node.lastChild.nodeName, node.firstElementChild.nodeName, node.lastElementChild.nodeName]",
            json!(["x ", "x ", "I", "B", "I"]),
        ),
        (
            "[node.firstChild.nextSibling === node.children[0], node.children[1].previousSibling.nodeName, node.children[0].previousElementSibling, node.firstChild.nextElementSibling.nodeName]",
            json!([true, "B", null, "B"]),
        ),
        (
            "[node.parentNode.nodeName, node.parentElement.parentNode.nodeName, node.parentNode.firstChild === node, node.nextSibling]",
            json!(["TR", "TBODY", true, null]),
        ),
        (
            "[node.getElementsByTagName('B').length, node.getElementsByTagName('*').length, node.getElementsByTagName('td').length]",
            json!([1, 2, 0]),
        ),
        (
            "[node.isBlock, node.isBlank, node.isCode, node.children[0].flankingWhitespace]",
            json!([true, false, false, {"leading": "", "trailing": ""}]),
        ),
    ];
    let cases: Vec<(String, Value)> = cases.into_iter().map(|(code, value)| (of(code), value)).collect();
    let cases: Vec<(&str, Value)> = cases.iter().map(|(code, value)| (code.as_str(), value.clone())).collect();
    expect_each_of(importing, &cases);
    expect_each_of(
        importing,
        &[(
            "(() => { let kept; new TurndownService().addRule('x', { filter: (node) => { kept = node; }, replacement: () => '' }).turndown('<b>a</b>'); return kept.nodeName; })()",
            json!("Error: turndown: this node's document is converted, and gone"),
        )],
    );
}

#[test]
fn what_is_kept_removed_escaped_or_has_no_rule_is_the_charms_to_say() {
    expect_each_of(
        importing,
        &[
            (
                "new TurndownService().keep(['del', 'ins']).turndown('a <del class=\"x\">b &lt; <i>c</i></del> d')",
                json!("a <del class=\"x\">b &lt; <i>c</i></del> d"),
            ),
            (
                "new TurndownService().keep((node) => node.nodeName === 'SECTION').turndown('a<section>b<br></section>c')",
                json!("a\n\n<section>b<br></section>\n\nc"),
            ),
            ("new TurndownService().remove('del').remove(['ins']).turndown('a<del>b</del><ins>c</ins>')", json!("a")),
            // What the package has a rule for is neither kept nor removed.
            ("new TurndownService().remove('p').keep('b').turndown('<p>a <b>b</b></p>')", json!("a **b**")),
            (
                "to('<div>a</div><div> </div>b', { defaultReplacement: (content, node) => `<${node.nodeName}:${content}>` })",
                json!("<DIV:a>\n\nb"),
            ),
            ("to('a<div> </div>b', { blankReplacement: (content, node) => `<${node.nodeName}>` })", json!("a<DIV>b")),
            (
                "new TurndownService({ keepReplacement: (content, node) => `{${content}}` }).keep('del').turndown('<del>a</del>')",
                json!("{a}"),
            ),
            (
                "(() => { const service = new TurndownService(); service.escape = (text) => text.toUpperCase(); return service.turndown('<p>a_b <code>c</code></p>'); })()",
                json!("A_B `c`"),
            ),
            ("new TurndownService().escape('1. [a]_b_')", json!("1\\. \\[a\\]\\_b\\_")),
            (
                "(() => { const service = new TurndownService(); service.options.headingStyle = 'atx'; return service.turndown('<h1>a</h1>'); })()",
                json!("# a"),
            ),
        ],
    );
}

#[test]
fn it_has_the_packages_interface() {
    expect_each_of(
        importing,
        &[
            ("TurndownService({ emDelimiter: '*' }).turndown('<i>a</i>')", json!("*a*")),
            ("new TurndownService() instanceof TurndownService", json!(true)),
            (
                "new TurndownService().use((service) => service.keep('del')).use([(s) => s.remove('ins'), (s) => s.addRule('x', { filter: 'u', replacement: () => 'U' })]).turndown('<del>a</del><ins>b</ins><u>c</u>')",
                json!("<del>a</del>U"),
            ),
            ("new TurndownService().use('x')", json!("TypeError: plugin must be a Function or an Array of Functions")),
            ("to('')", json!("")),
            ("to(undefined)", json!("TypeError: undefined is not a string, or an element/document/fragment node.")),
            ("to(null)", json!("TypeError: null is not a string, or an element/document/fragment node.")),
            ("Object.keys(new TurndownService().options).length", json!(14)),
            (
                "Object.keys(TurndownService.prototype)",
                json!(["turndown", "use", "addRule", "keep", "remove", "escape"]),
            ),
            (
                "(() => { const service = new TurndownService({ linkStyle: 'referenced' }); const html = '<a href=x>a</a>'; return [service.turndown(html), service.turndown(html)]; })()",
                json!(["[a][1]\n\n[1]: x", "[a][1]\n\n[1]: x"]),
            ),
        ],
    );
}

#[test]
fn what_a_stranger_writes_takes_no_more_than_its_length_lets_expect() {
    for (html, expected) in [
        (
            "'<div>'.repeat(100000)",
            "RangeError: turndown: this HTML is not converted: its elements nest deeper than 512",
        ),
        (
            "'<p>' + Array.from({ length: 400 }, (_, n) => `<b a=${n}>`).join('') + '</p>' + '<p>x'.repeat(100000)",
            "RangeError: turndown: this HTML is not converted: it has more than 250000 elements and texts",
        ),
        (
            "'<p ' + Array.from({ length: 100000 }, (_, n) => `a${n}`).join(' ') + '>'",
            "RangeError: turndown: this HTML is not converted: a tag has more than some 4096 attributes",
        ),
        ("'<i>'.repeat(400) + ' '.repeat(200000) + 'x'", "____"),
        ("'<ol>' + '<li>x'.repeat(20000)", "1.  x"),
        ("'<blockquote>'.repeat(300) + 'x'", "> > >"),
        ("'<pre>a' + '<code> x</code>'.repeat(20000)", "`x` `x`"),
        ("'<!--'.repeat(100000)", ""),
        ("'&amp;&#0;&bogus;<'.repeat(20000)", "&"),
        ("'<table>'.repeat(100) + 'x<td>'.repeat(10000)", "x"),
    ] {
        let charm = importing(&format!(
            "let text; try {{ text = to({html}); }} catch (error) {{ text = String(error); }} out.set(text.slice(0, 200));"
        ));
        let text = charm.out().unwrap_or_else(|failure| panic!("{html}: {failure:?}"));
        let text = text.as_str().expect("a text");
        let is_right = if expected.starts_with("RangeError") {
            text == expected
        } else {
            text.contains(expected) && !text.contains("RangeError")
        };
        assert!(is_right, "{html}: {text}");
    }
}
