/** Starts an application. What goes wrong before it serves ends the process with one line. */
export async function start(name: string, main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    console.error(`${name} did not start: ${message}${cause instanceof Error ? ` (${cause.message})` : ""}`);
    process.exit(1);
  }
}
