/// <cts-enable />
// Never ends.
import { Cell, Default, handler, NAME, pattern } from "commontools";

const spin = handler<unknown, { turns: Cell<number> }>((_event, { turns }) => {
  for (let turn = turns.get(); ; turn++) {}
});

export default pattern<{ turns: Default<number, 0> }>(({ turns }) => ({
  [NAME]: "Looping",
  turns,
  bgUpdater: spin({ turns }),
}));
