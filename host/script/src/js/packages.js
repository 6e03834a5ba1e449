// Packages that charms may import, by their names. What a package exports is evaluated for the charms that import it.
const packages = {
  turndown: {
    get default() {
      return host.library("turndown")(host);
    },
  },
};
