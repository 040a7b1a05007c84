// The changelog says what users notice, once: no commits, and no lists of dependencies, which are released together.
module.exports = {
  getReleaseLine: async ({ summary }) => `- ${summary.trim().replaceAll("\n", "\n  ")}`,
  getDependencyReleaseLine: async () => "",
};
