import { action, assert, pattern, TESTS } from "commontools";
import Counter from "./counter.tsx";

export default pattern(() => {
  const counter = Counter({});
  return {
    [TESTS]: [
      { assertion: assert(() => counter.count === 0) },
      { action: action(() => counter.add.send({ by: 2 })) },
      { assertion: assert(() => counter.count === 2) },
    ],
  };
});
