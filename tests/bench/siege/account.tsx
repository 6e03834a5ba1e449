/// <cts-enable />
// Has a token that can be renewed.
import { Cell, Default, handler, NAME, pattern, Secret } from "commontools";

interface Auth {
  token: Secret<string>;
  refreshToken: Secret<string>;
}

const poll = handler<unknown, { polls: Cell<number> }>((_event, { polls }) => {
  polls.set(polls.get() + 1);
});

interface Input {
  auth: Default<Auth, { token: ""; refreshToken: "" }>;
  polls: Default<number, 0>;
}

export default pattern<Input>(({ auth, polls }) => ({ [NAME]: "Account", auth, polls, bgUpdater: poll({ polls }) }));
