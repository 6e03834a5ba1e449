/// <cts-enable />
// Takes all the memory that a handler may have.
import { Cell, Default, handler, NAME, pattern } from "commontools";

const grow = handler<unknown, { turns: Cell<number> }>((_event, { turns }) => {
  const kept: number[][] = [];
  for (let turn = turns.get(); ; turn++) kept.push(new Array(10_000).fill(turn));
});

export default pattern<{ turns: Default<number, 0> }>(({ turns }) => ({
  [NAME]: "Growing",
  turns,
  bgUpdater: grow({ turns }),
}));
