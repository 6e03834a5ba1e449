// What only a person or a language model calls, and what nobody here can answer. A charm that has it is deployed and
// polled; what is used of it says why nothing comes of it.

const TILE_UI = "$TILE_UI";
const CHIP_UI = "$CHIP_UI";
// A tile and a chip are pages, as the whole one is, `UI`.
const PAGES = ["$UI", TILE_UI, CHIP_UI];

// What a pattern returns for models to call. It is no part of what is stored.
class Tool {
  toJSON() {
    return undefined;
  }
}

const patternTool = () => new Tool();

// A cell of `{ pending, reason }`, whose result never comes.
function pendingFor(reason) {
  return lazyCell(() => ({ pending: true, reason }), []);
}

const NO_MODEL = "waits for a language model, and this service has none for charms";

const asksModel = (name) => () => pendingFor(`${name}() ${NO_MODEL}`);

// A dialogue has its own streams; what is sent to them waits for a model.
function llmDialog() {
  const reason = `llmDialog() ${NO_MODEL}`;
  const stream = () => new Stream(() => console.warn(reason), {}, undefined, undefined);
  const [pending, pinnedCells, flattenedTools] = [false, [], {}].map((value) => lazyCell(() => value, []));
  return { pending, reason, addMessage: stream(), cancelGeneration: stream(), pinnedCells, flattenedTools };
}

const compileAndRun = () => pendingFor("compileAndRun() is not available: charms are compiled when they are deployed");
const fetchProgram = () => pendingFor("fetchProgram() is not available: charms are compiled when they are deployed");

// A button's, which only a person presses.
function navigateTo() {
  console.warn("navigateTo() was called, and a poll has nobody who could look at another charm");
  return lazyCell(() => false, []);
}

// Data that the original checks to be data alone.
const data = (value) => value;
