/// <cts-enable />
// For the test: counts its polls.
import { Cell, Default, handler, pattern } from "commontools";

interface Input {
  topic: Default<string, "weather">;
  polls: Default<number, 0>;
}

const poll = handler<unknown, { polls: Cell<number> }>((_event, { polls }) => {
  polls.set(polls.get() + 1);
});

export default pattern<Input>(({ topic, polls }) => ({ topic, polls, bgUpdater: poll({ polls }) }));
