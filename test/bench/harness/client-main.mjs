// The process of a client under test: calls what it is told to of a module in clients/, and `measure`.
import { PerformanceObserver } from "node:perf_hooks";
import { inFlight } from "./in-flight.mjs";

/**
 * What a module's `open` gives. `operation` is what `measure` counts; other methods are called by name.
 *
 * @typedef {object} Opened
 * @property {(index: number) => Promise<unknown>} [operation] the index goes on from one measurement to the next
 * @property {(first: number, count: number) => unknown} [before] prepares operations, outside of the measurement
 * @property {(done: number) => unknown} [after] checks that they did what they should
 * @property {() => Promise<void>} close
 */

const { open } = await import(`../clients/${process.argv[2]}`);
/** @type {Opened} */
let opened;
let done = 0;

const methods = {
  open: async (settings) => {
    opened = await open(settings);
  },

  /** CPU of this process in µs per operation, and operations per second, `width` of them in flight. */
  measure: async ({ operations, width }) => {
    await opened.before?.(done, operations);
    globalThis.gc();
    const cpu = process.cpuUsage();
    const start = performance.now();
    await inFlight(width, operations, (index) => opened.operation(done + index));
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    done += operations;
    await opened.after?.(done);
    return { cpu: (user + system) / operations, rate: (operations / ms) * 1000 };
  },

  /** Bytes that an operation allocates, and how often the garbage was collected meanwhile: such a figure is worthless. */
  allocate: async ({ operations, width }) => {
    await opened.before?.(done, operations);
    globalThis.gc();
    let collections = 0;
    const observer = new PerformanceObserver((list) => {
      collections += list.getEntries().length;
    });
    observer.observe({ entryTypes: ["gc"] });
    const { heapUsed } = process.memoryUsage();
    await inFlight(width, operations, (index) => opened.operation(done + index));
    const bytes = (process.memoryUsage().heapUsed - heapUsed) / operations;
    done += operations;
    // The observer is told in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    observer.disconnect();
    return { bytes, collections };
  },
};

process.on("message", async ({ method, args }) => {
  try {
    const result = await (methods[method] ?? opened[method])(...args);
    process.send({ result });
  } catch (error) {
    process.send({ error: error.stack ?? String(error) });
  }
});
process.on("disconnect", async () => {
  await opened?.close();
  process.exit();
});
