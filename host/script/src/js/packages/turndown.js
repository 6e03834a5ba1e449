// The package `turndown`: HTML as Markdown. The conversion itself is the host's; here is what a charm hands in.

// One object for each node of a document that a rule of the charm's sees.
class HtmlNode {
  #document;
  #id;
  #known;
  constructor(document, id, known) {
    this.#document = document;
    this.#id = id;
    this.#known = known;
  }
  #get(what, name) {
    return host.htmlNode(this.#document, this.#id, what, name);
  }
  #node(id) {
    return id === undefined ? null : nodeOf(this.#document, id, this.#known);
  }
  #elements(from) {
    return from.filter((node) => node.nodeType === 1);
  }
  get nodeType() {
    return this.#get("type");
  }
  get nodeName() {
    return this.#get("name");
  }
  get tagName() {
    return this.nodeType === 1 ? this.nodeName : undefined;
  }
  get localName() {
    return this.tagName?.toLowerCase();
  }
  get nodeValue() {
    return this.#get("value") ?? null;
  }
  get data() {
    return this.#get("value");
  }
  get textContent() {
    return this.#get("text");
  }
  get innerText() {
    return this.#get("text");
  }
  get innerHTML() {
    return this.#get("inner");
  }
  get outerHTML() {
    return this.#get("outer");
  }
  get parentNode() {
    return this.#node(this.#get("parent"));
  }
  get parentElement() {
    const parent = this.parentNode;
    return parent?.nodeType === 1 ? parent : null;
  }
  get childNodes() {
    return this.#get("children").map((id) => this.#node(id));
  }
  get children() {
    return this.#elements(this.childNodes);
  }
  get childElementCount() {
    return this.children.length;
  }
  get firstChild() {
    return this.#node(this.#get("first"));
  }
  get lastChild() {
    return this.#node(this.#get("last"));
  }
  get firstElementChild() {
    return this.children[0] ?? null;
  }
  get lastElementChild() {
    return this.children.at(-1) ?? null;
  }
  get previousSibling() {
    return this.#node(this.#get("previous"));
  }
  get nextSibling() {
    return this.#node(this.#get("next"));
  }
  get previousElementSibling() {
    let node = this.previousSibling;
    while (node !== null && node.nodeType !== 1) node = node.previousSibling;
    return node;
  }
  get nextElementSibling() {
    let node = this.nextSibling;
    while (node !== null && node.nodeType !== 1) node = node.nextSibling;
    return node;
  }
  hasChildNodes() {
    return this.#get("first") !== undefined;
  }
  getAttribute(name) {
    return this.#get("attribute", String(name)) ?? null;
  }
  hasAttribute(name) {
    return this.getAttribute(name) !== null;
  }
  get attributes() {
    const flat = this.#get("attributes");
    return Array.from({ length: flat.length / 2 }, (_, at) => ({ name: flat[2 * at], value: flat[2 * at + 1] }));
  }
  get id() {
    return this.getAttribute("id") ?? "";
  }
  get className() {
    return this.getAttribute("class") ?? "";
  }
  get classList() {
    const names = this.className.split(/\s+/).filter((name) => name !== "");
    return Object.assign([...new Set(names)], { contains: (name) => names.includes(name) });
  }
  getElementsByTagName(name) {
    const wanted = String(name).toLowerCase();
    const within = this.#get("within").map((id) => this.#node(id));
    return wanted === "*" ? within : within.filter((node) => node.localName === wanted);
  }
  // What the package notes at each node.
  get isBlank() {
    return this.#get("facts")[0];
  }
  get isBlock() {
    return this.#get("facts")[1];
  }
  get isCode() {
    return this.#get("facts")[2];
  }
  get flankingWhitespace() {
    const [, , , leading, trailing] = this.#get("facts");
    return { leading, trailing };
  }
}
// What an attribute of the same name has.
for (const name of ["href", "src", "alt", "title", "name", "type", "value", "lang", "dir", "rel", "target"]) {
  Object.defineProperty(HtmlNode.prototype, name, { configurable: true, get() {
    return this.getAttribute(name) ?? "";
  } });
}

function nodeOf(document, id, known) {
  let node = known.get(id);
  if (node === undefined) known.set(id, node = new HtmlNode(document, id, known));
  return node;
}

// In the order in which the host takes them.
const TURNDOWN_OPTIONS = [
  "headingStyle", "hr", "bulletListMarker", "codeBlockStyle", "fence", "emDelimiter", "strongDelimiter", "linkStyle",
  "linkReferenceStyle", "br",
];

const TURNDOWN_DEFAULTS = {
  headingStyle: "setext", hr: "* * *", bulletListMarker: "*", codeBlockStyle: "indented", fence: "```", emDelimiter: "_",
  strongDelimiter: "**", linkStyle: "inlined", linkReferenceStyle: "full", br: "  ", preformattedCode: false,
  blankReplacement: (content, node) => (node.isBlock ? "\n\n" : ""),
  keepReplacement: (content, node) => (node.isBlock ? `\n\n${node.outerHTML}\n\n` : node.outerHTML),
  defaultReplacement: (content, node) => (node.isBlock ? `\n\n${content}\n\n` : content),
};

const turndownRules = new WeakMap();

function rulesOf(service) {
  const rules = turndownRules.get(service);
  if (rules === undefined) throw new TypeError("turndown: this is not a TurndownService");
  return rules;
}

function TurndownService(options) {
  if (!(this instanceof TurndownService)) return new TurndownService(options);
  this.options = { ...TURNDOWN_DEFAULTS, ...options };
  turndownRules.set(this, { added: [], kept: [], removed: [] });
}

// A filter as the host takes it: names, or none if it is the charm's to say.
function namesOf(filter) {
  if (typeof filter === "string") return [filter];
  return Array.isArray(filter) ? filter : undefined;
}

const escapeText = function escape(text) {
  return host.escapeMarkdown(String(text));
};

const turndownMethods = {
  turndown(input) {
    const { added, kept, removed } = rulesOf(this);
    const { options } = this;
    const html = input instanceof HtmlNode ? (input.nodeType === 3 ? "" : input.innerHTML) : input;
    if (typeof html !== "string") throw new TypeError(`${input} is not a string, or an element/document/fragment node.`);
    if (html === "") return "";
    const filters = [...added, ...kept.map((filter) => ({ filter })), ...removed.map((filter) => ({ filter }))];
    const known = new Map();
    const hooks = {
      takes: (number, document, id) => {
        const rule = filters[number];
        if (typeof rule.filter !== "function") throw new TypeError("`filter` needs to be a string, array, or function");
        return rule.filter(nodeOf(document, id, known), options);
      },
      write: (number, document, id, content) => `${added[number].replacement(content, nodeOf(document, id, known), options)}`,
    };
    const isOther = (name) => options[name] !== TURNDOWN_DEFAULTS[name];
    if (["blankReplacement", "keepReplacement", "defaultReplacement"].some(isOther)) {
      hooks.writeOther = (name, document, id, content) => (isOther(name) ? `${options[name](content, nodeOf(document, id, known), options)}` : undefined);
    }
    if (this.escape !== escapeText) hooks.escape = (text) => this.escape(text);
    if (added.some((rule) => typeof rule.append === "function")) {
      hooks.append = () => added.filter((rule) => typeof rule.append === "function").map((rule) => `${rule.append(options)}`);
    }
    const given = [...TURNDOWN_OPTIONS.map((name) => `${options[name]}`), options.preformattedCode ? "yes" : ""];
    const lists = [added.map((rule) => namesOf(rule.filter)), kept.map(namesOf), removed.map(namesOf)];
    return host.toMarkdown(html, given, lists, hooks);
  },
  use(plugin) {
    if (Array.isArray(plugin)) plugin.forEach((one) => this.use(one));
    else if (typeof plugin === "function") plugin(this);
    else throw new TypeError("plugin must be a Function or an Array of Functions");
    return this;
  },
  addRule(key, rule) {
    rulesOf(this).added.unshift(rule);
    return this;
  },
  keep(filter) {
    rulesOf(this).kept.unshift(filter);
    return this;
  },
  remove(filter) {
    rulesOf(this).removed.unshift(filter);
    return this;
  },
  escape: escapeText,
};
Object.assign(TurndownService.prototype, turndownMethods);

return TurndownService;
