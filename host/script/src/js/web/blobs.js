// The doors to Blob and File, whose file is evaluated only for charms that use them.

let blobs;
const allBlobs = () => (blobs ??= host.library("blob")(host, bytesOf, toUSV, utf8, define));
// Whether a value is one, which it can't be before there are any.
const isBlob = (value) => blobs !== undefined && blobs.is(value);

for (const name of ["Blob", "File"]) {
  Object.defineProperty(globalThis, name, {
    get() {
      allBlobs();
      return globalThis[name];
    },
    set(value) {
      Object.defineProperty(globalThis, name, { value, writable: true, enumerable: false, configurable: true });
    },
    enumerable: false,
    configurable: true,
  });
}
