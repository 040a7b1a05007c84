/** A tick that is later than this shows that the process stood still, in ms. */
const TICK = 20;

let lost = 0;
let last = performance.now();
setInterval(() => {
  lost += standstill();
  last = performance.now();
}, TICK).unref();

function standstill(): number {
  return Math.max(0, performance.now() - last - 2 * TICK);
}

/**
 * Time that has passed for this process, in ms: without what passed while it stood still, as it does on a machine
 * with too much to do. For expectations of how long something takes at most.
 */
export function livedTime(): number {
  return performance.now() - lost - standstill();
}
