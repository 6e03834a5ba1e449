// Tests of charms, in the original's form: a pattern whose result has a list of steps, `[TESTS]`. `charm test` takes them
// one after another.

const TESTS = "$TESTS";

// assert(() => …): a cell of what is to be true when its step comes.
const assert = computed;
