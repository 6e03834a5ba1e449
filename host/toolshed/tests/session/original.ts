// Runs memory servers of the original's checkout on free loopback ports: a new one for each line of standard input, with
// access lists if the line is "access". Writes the address of each. Ends with standard input.
const [labs, events] = Deno.args;
const { StandaloneMemoryServer } = await import(`file://${labs}/packages/memory/v2/standalone.ts`);
const { setServerExecutionConfig } = await import(`file://${labs}/packages/memory/v2.ts`);
setServerExecutionConfig(events === "true");
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of text.trimEnd().split("\n")) {
    const options = line === "access" ? { acl: { mode: "enforce" } } : {};
    console.log(StandaloneMemoryServer.start(options).url.host);
  }
}
Deno.exit();
