/// <cts-enable />
// Takes 50 s for each poll.
import { Cell, Default, handler, NAME, pattern } from "commontools";

interface Input {
  count: Default<number, 0>;
}

const poll = handler<unknown, { count: Cell<number> }>(async (_event, { count }) => {
  await new Promise((resolve) => setTimeout(resolve, 50_000));
  count.set(count.get() + 1);
});

export default pattern<Input>(({ count }) => ({
  [NAME]: "Slow",
  count,
  bgUpdater: poll({ count }),
}));
