// Pages: JSX as a tree. Nothing of a page is made unless somebody looks at it.

// A page that is yet to be made. The transpiler puts one in place of what a pattern returns as its UI.
class Page {
  constructor(make) {
    this.make = make;
  }

  // Pages are no part of what is stored.
  toJSON() {
    return undefined;
  }
}

function h(type, props, ...children) {
  if (typeof type === "function" && type !== h.fragment) return type({ ...props, children });
  return { type: "vnode", name: type, props: props ?? {}, children: children.flat(Infinity) };
}
h.fragment = "common-fragment";

// The tree of a page as JSON: nodes are `{ name, props, children }`, anything else is a text.
function tree(value) {
  if (value instanceof Page) return tree(value.make());
  if (isCell(value)) return tree(valueOf(value));
  if (value instanceof Stream || value === null || value === undefined || typeof value === "boolean") return [];
  if (typeof value === "function" || typeof value === "symbol") return [];
  if (!isObject(value)) return [String(value)];
  if (Array.isArray(value)) return value.flatMap(tree);
  if (value.type === "vnode") return [node(value)];
  if (Object.hasOwn(value, UI)) return tree(value[UI]);
  return [JSON.stringify(value)];
}

function node({ name, props, children }) {
  const shown = {};
  for (const [key, value] of Object.entries(props ?? {})) {
    const known = isCell(value) ? valueOf(value) : value;
    if (known instanceof Stream || typeof known === "function" || known === undefined || known === null) continue;
    put(shown, key, isObject(known) ? copy(known) : known);
  }
  return { name: String(name), props: shown, children: (Array.isArray(children) ? children : [children]).flatMap(tree) };
}

// The charm's page, as JSON, or nothing if it has none.
function page(factory) {
  const result = instantiate(factory, {});
  begin();
  const found = isCell(result) ? valueOf(result) : result;
  return Object.hasOwn(found, UI) ? JSON.stringify(tree(found[UI])) : undefined;
}
