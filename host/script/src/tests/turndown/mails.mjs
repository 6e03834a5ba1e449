// Mails as people and mailing programs write them, and what the package `turndown` makes of them, as JSON:
//   node mails.mjs SEED COUNT [NODE_MODULES]
// Each line has the options, the mail and its Markdown. `NODE_MODULES` is a folder in which the package is.
import { createRequire } from "node:module";

const [seed, count, folder = `${process.cwd()}/node_modules`] = process.argv.slice(2);
const Turndown = createRequire(`${folder}/`)("turndown");

let state = Number(seed) >>> 0;
// Mulberry32.
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const often = (share) => random() < share;
const some = (least, most, make) => Array.from({ length: least + below(most - least + 1) }, make);

const WORDS = [
  "Hello", "your", "order", "invoice", "#4711", "is", "ready", "_draft_", "*", "**bold?**", "a_b_c", "1.", "2024.", "-", "+", "=", "==", ">",
  "[link]", "(note)", "`code`", "~~~", "caf\u00e9", "\u00dcber", "\u4f60\u597d", "\u{1F600}", "&amp;", "&lt;tag&gt;", "&nbsp;", "\u00a0", "&copy;", "&#8217;", "&rsquo;",
  "&unknown;", "AT&T", "a < b", "100%", "$5.00", "https://a.example/x_y?q=1&amp;r=2", "me@a.example", "\\", "/", "&#x200b;", "\u200c", "&zwnj;", "\u2007", "&shy;", "&#847;",
];
const spaces = () => pick([" ", " ", " ", " ", "  ", "\n", "\n  ", "\t", "\r\n", "", " \n ", "&nbsp;", " &nbsp; "]);
const text = () => some(1, 7, () => pick(WORDS) + spaces()).join("");

const STYLE = () => pick([
  "", "", ` style="color: #333; font-family: Arial, sans-serif"`, ` class="x"`, ` align=center`, ` id='a b'`, ` style="display:none;max-height:0"`, ` width="600"`, ` dir=ltr`,
]);
const href = () => pick([
  "https://a.example/", "http://a.example/a_(b)?x=1&y=2", "mailto:me@a.example", "#top", "", "https://a.example/a b", "/relative", "https://a.example/&lt;x&gt;", "cid:logo",
]);
const title = () => pick(["", "", "", ` title="A &quot;title&quot;"`, ` title="two\n\n lines"`, ` title=''`]);
const image = () => `<img src="${href()}"${title()}${pick(["", ` alt="A [logo]"`, ` alt=""`, ` alt="1. *x*\n\n y"`, ` width=1 height=1`])}${pick(["", " /"])}>`;
const tag = (name, inner, more = "") => `<${name}${more}${STYLE()}>${inner}${often(0.97) ? `</${name}>` : ""}`;

function inline(depth) {
  if (depth <= 0 || often(0.45)) return text();
  const within = () => some(0, 3, () => inline(depth - 1)).join(pick(["", "", " ", "\n"]));
  switch (below(16)) {
    case 0: return tag("b", within());
    case 1: return tag("strong", within());
    case 2: return tag("i", within());
    case 3: return tag("em", within());
    case 4: return tag("a", within(), ` href="${href()}"${title()}`);
    case 5: return tag("a", image(), ` href="${href()}"`);
    case 6: return tag("span", within());
    case 7: return tag("font", within(), ` color=red size=2`);
    case 8: return `${pick(["<br>", "<br/>", "<br />", "<br clear=all>"])}${spaces()}`;
    case 9: return image();
    case 10: return tag("code", pick([text(), "a `b` c", " x ", "`", "a\nb", "``x`"]));
    case 11: return tag(pick(["u", "s", "del", "sup", "sub", "small", "big", "mark", "o:p", "abbr", "label", "center"]), within());
    case 12: return `<!-- ${pick(["comment", "[if mso]> <table><tr><td> <![endif]"])} -->`;
    case 13: return pick(["<!--[if !mso]><!-->", "<!--<![endif]-->", "<![if !mso]>", "<![endif]>", "<?xml:namespace prefix = o ns = 'x' />", "<o:p></o:p>", "<wbr>", "</span>", "</p>", "<a name=top></a>"]);
    case 14: return tag(pick(["b", "i", "a"]), tag(pick(["div", "p", "h2"]), within()));
    default: return text();
  }
}
const line = (depth) => some(1, 4, () => inline(depth)).join(pick(["", " ", "\n"]));

function block(depth) {
  if (depth <= 0) return tag(pick(["p", "div", "p", "span"]), line(2));
  const blocks = (least = 1, most = 3) => some(least, most, () => (often(0.8) ? block(depth - 1) : line(2))).join(pick(["", "\n", "\n    ", " "]));
  const between = pick(["", "\n", "\n  ", " "]);
  switch (below(20)) {
    case 0: return tag(`h${1 + below(6)}`, line(2));
    case 1: return tag("blockquote", blocks(), pick(["", ` type="cite"`, ` class="gmail_quote"`]));
    case 2: case 3: {
      const items = some(0, 4, () => tag("li", pick([() => line(2), () => blocks(1, 2), () => tag("p", line(1)), () => line(1) + block(0)])()));
      return `<${pick(["ul", "ol", "ol start=5", "ol start='x'", "ol type=a", "ul"])}>${between}${items.join(between)}${between}</${pick(["ul", "ol"])}>`;
    }
    case 4: {
      const lists = () => tag(pick(["ul", "ol"]), some(1, 3, () => tag("li", line(1) + (often(0.4) ? lists() : ""))).join(between));
      return lists();
    }
    case 5: case 6: case 7: {
      const cells = () => some(1, 3, () => tag(pick(["td", "td", "td", "th"]), often(0.5) ? blocks(0, 2) : line(1), pick(["", ` valign=top`, ` colspan="2"`])));
      const rows = some(1, 3, () => `<tr${STYLE()}>${between}${cells().join(between)}${between}</tr>`).join(between);
      return `<table${pick(["", ` border=0 cellpadding="0" cellspacing="0"`])}>${between}${often(0.5) ? `<tbody>${rows}</tbody>` : rows}${between}${often(0.06) ? text() : ""}</table>`;
    }
    case 8: return tag("pre", pick([tag("code", `if (a < b) {\n  x();\n}\n`, pick(["", ` class="language-js"`, ` class="hl language-c++ y"`])), `  plain\n    text\n`, tag("code", "```\n~~~\n"), `<code>a</code> b`, `\n\nx`]));
    case 9: return pick(["<hr>", "<hr />", `<hr size=1>`]);
    case 10: return tag("style", ".a > b { color: red }\n@media x { * { } }", ` type="text/css"`);
    case 11: return tag(pick(["section", "article", "header", "footer", "center", "main", "nav", "form", "fieldset", "dl", "dd", "figure", "address"]), blocks());
    case 12: return tag("p", line(3));
    case 13: return tag("p", pick(["&nbsp;", "", " ", "<br>", "\u200b", "<o:p>&nbsp;</o:p>", "<img src=x>", "<b> </b>"]));
    case 14: return line(3) + pick(["<br><br>", "<br>\n<br>", "\n"]);
    case 15: return pick([tag("script", "alert('<b>')"), tag("noscript", "<img src=x>"), tag("title", text()), tag("textarea", " a\n b"), tag("button", text()), tag("select", "<option>a<option selected>b"), tag("iframe", "x", " src=y"), tag("video", "x"), tag("svg", "<circle r=1 /><title>t</title>"), tag("object", text()), tag("template", text()), `<input value=x>`, tag("math", "<mi>x</mi>")]);
    default: return tag("div", blocks());
  }
}

function mail() {
  const body = some(1, 5, () => block(1 + below(4))).join(pick(["", "\n", "\r\n", "\n\n"]));
  switch (below(6)) {
    case 0: return `<html><head><meta charset=utf-8><title>${text()}</title><style>p { margin: 0 }</style></head><body${STYLE()}>${body}</body></html>`;
    case 1: return `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n<html xmlns="http://www.w3.org/1999/xhtml">\n<body>\n${body}\n</body>\n</html>\n`;
    case 2: return `<div dir="ltr">${body}</div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, 1 Jan 2024 at 10:00, A &lt;<a href="mailto:a@a.example">a@a.example</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0">${line(2)}${body}</blockquote></div>`;
    default: return body;
  }
}

const OPTIONS = [
  {}, {}, { headingStyle: "atx", codeBlockStyle: "fenced", emDelimiter: "*" }, { headingStyle: "atx", codeBlockStyle: "fenced", emDelimiter: "*" },
  { bulletListMarker: "-", hr: "---", strongDelimiter: "__", br: "\\" }, { codeBlockStyle: "fenced", fence: "~~~" },
  { linkStyle: "referenced" }, { linkStyle: "referenced", linkReferenceStyle: "collapsed" }, { linkStyle: "referenced", linkReferenceStyle: "shortcut" },
  { preformattedCode: true },
];

for (let at = 0; at < Number(count); at++) {
  const [options, html] = [pick(OPTIONS), mail()];
  console.log(JSON.stringify({ options, html, markdown: new Turndown(options).turndown(html) }));
}
