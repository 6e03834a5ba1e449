// What the original has to show values to people in logs and messages: JSON, and readable where JSON has no form.

function shownValue(value, around) {
  const plain = isCell(value) ? valueOf(value) : value;
  if (plain === undefined || typeof plain === "symbol") return { bare: String(plain) };
  if (typeof plain === "number" && !Number.isFinite(plain)) return { bare: String(plain) };
  if (typeof plain === "bigint") return { bare: `${plain}n` };
  if (typeof plain === "function") return { bare: `<function ${plain.name || "without a name"}>` };
  if (!isObject(plain)) return { bare: JSON.stringify(plain) };
  if (around.includes(plain)) return { bare: "<circle>" };
  if (typeof plain.toJSON === "function") return shownValue(plain.toJSON(), [...around, plain]);
  const inner = [...around, plain];
  const items = Array.isArray(plain)
    ? plain.map((item) => ["", shownValue(item, inner)])
    : Object.entries(plain).map(([key, item]) => [JSON.stringify(key), shownValue(item, inner)]);
  return { items, brackets: Array.isArray(plain) ? "[]" : "{}" };
}

function writtenOut({ bare, items, brackets }, indent, margin) {
  if (bare !== undefined) return bare;
  if (items.length === 0) return brackets;
  const within = margin + indent;
  const [line, colon] = indent === "" ? ["", ":"] : ["\n", ": "];
  const parts = items.map(([key, item]) => `${indent === "" ? "" : within}${key === "" ? "" : key + colon}${writtenOut(item, indent, within)}`);
  return `${brackets[0]}${line}${parts.join(`,${line}`)}${line}${indent === "" ? "" : margin}${brackets[1]}`;
}

function debugString(value, indent) {
  try {
    return writtenOut(shownValue(value, []), indent, "");
  } catch {
    return "<unrenderable debug string>";
  }
}

// toCompactDebugString(value, most), where `most` is a length, or `{ maxLength }`.
function toCompactDebugString(value, most) {
  const text = debugString(value, "");
  const length = typeof most === "number" ? most : most?.maxLength;
  const limit = Math.max(Math.floor(length ?? Infinity), 3);
  return text.length > limit ? `${text.slice(0, limit - 3)}...` : text;
}

const toIndentedDebugString = (value) => debugString(value, "  ");
